"""Reads with TensorBoard's own reader what a run that was resumed leaves for it.

usage: tensorboard_test.py RESUMED_EVENTS      the program made of resumed_events.cpp
Where the reader is not installed, the exit status is 77, and a line says so.
"""

import subprocess
import sys
import tempfile
import unittest

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError as error:
    print(f"skipped: TensorBoard's reader is not installed ({error});")
    print("  pip install --no-deps -r tests/requirements.txt, as tools/test.sh does into build/python")
    sys.exit(77)


class ResumedRun(unittest.TestCase):
    """Iterations 1 to 4 with d_s -1, then 3 to 5 with d_s 1."""

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([program, folder], check=True)
            cls.events = EventAccumulator(folder + "/tensorboard")
            cls.events.Reload()

    def scalars(self, tag):
        return [(event.step, event.value) for event in self.events.Scalars(tag)]

    def test_tags(self):
        tags = self.events.Tags()
        self.assertEqual(tags["images"], ["shortrun/x"])
        self.assertEqual(
            sorted(tags["scalars"]),
            ["diagnostics/d_s", "diagnostics/learning_rate", "diagnostics/r_s",
             "diagnostics/steps_per_second",
             "landscape/kl_learned", "landscape/l1_learned", "landscape/l1_shortrun"])

    def test_iterations_that_were_gone_back_on_are_forgotten(self):
        self.assertEqual(self.scalars("diagnostics/d_s"), [(1, -1), (2, -1), (3, 1), (4, 1), (5, 1)])
        self.assertEqual(self.scalars("diagnostics/learning_rate"), [(1, 0.25), (5, 0.25)])
        self.assertEqual(self.scalars("diagnostics/steps_per_second"), [(1, 50), (5, 50)])
        self.assertEqual(self.scalars("landscape/kl_learned"), [(1, 2)])

    def test_pictures(self):
        pictures = self.events.Images("shortrun/x")
        self.assertEqual([(p.step, p.height, p.width) for p in pictures], [(1, 10, 30), (5, 50, 30)])
        for picture in pictures:
            self.assertTrue(picture.encoded_image_string.startswith(b"\x89PNG"))


if __name__ == "__main__":
    program = sys.argv.pop(1)
    unittest.main(verbosity=2)
