"""Reads with TensorBoard's own reader what runs leave for it.

usage: tensorboard_test.py RESUMED_EVENTS EBM_TRAIN CONFIG
RESUMED_EVENTS is the program made of resumed_events.cpp; CONFIG one of toy data, to be cut short.
Where the reader is not installed, the exit status is 77, and a line says so.
"""

import csv
import shutil
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


def read(folder):
    # 0 keeps all; TensorBoard itself draws lots.
    events = EventAccumulator(folder + "/tensorboard", {"scalars": 0, "images": 0})
    events.Reload()
    return events


def scalars(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


class ResumedRun(unittest.TestCase):
    """Iterations 1 to 4 with d_s -1, then 3 to 5 with d_s 1."""

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([resumed_events, folder], check=True)
            cls.events = read(folder)

    def scalars(self, tag):
        return scalars(self.events, tag)

    def test_tags(self):
        tags = self.events.Tags()
        self.assertEqual(tags["images"], ["shortrun/x"])
        self.assertEqual(
            sorted(tags["scalars"]),
            ["diagnostics/d_s", "diagnostics/learning_rate", "diagnostics/mean_f_data",
             "diagnostics/mean_f_samples", "diagnostics/r_s",
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


class Training(unittest.TestCase):
    """Twenty iterations of ebm_train, beside the tables that it writes itself."""

    @classmethod
    def setUpClass(cls):
        settings = ["train.iterations=20", "langevin.steps=10", "log.every=5", "landscape.every=10",
                    "landscape.resolution=40", "landscape.kde.chains=100"]
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([ebm_train, config, "--quiet", "--out", folder, "--threads", "1"]
                           + [word for setting in settings for word in ("--set", setting)],
                           check=True)
            cls.events = read(folder)
            cls.tables = {}
            for name in ("diagnostics.csv", "landscape/landscape.csv"):
                with open(f"{folder}/{name}", newline="", encoding="utf-8") as table:
                    cls.tables[name] = list(csv.DictReader(table))

    def expect_column(self, tag, table, column, steps=None):
        found = scalars(self.events, tag)
        rows = [row for row in self.tables[table] if not steps or int(row["iteration"]) in steps]
        self.assertEqual([step for step, _ in found], [int(row["iteration"]) for row in rows])
        for (_, value), row in zip(found, rows):
            expected = float(row[column])
            self.assertAlmostEqual(value, expected, delta=1e-5 * abs(expected))

    def test_curves_are_those_of_the_tables(self):
        self.assertEqual(len(self.tables["diagnostics.csv"]), 20)
        self.assertEqual(len(self.tables["landscape/landscape.csv"]), 3)
        for name in ("d_s", "r_s"):
            self.expect_column("diagnostics/" + name, "diagnostics.csv", name)
        for name in ("learning_rate", "mean_f_data", "mean_f_samples"):
            self.expect_column("diagnostics/" + name, "diagnostics.csv", name, [1, 5, 10, 15, 20])
        for name in ("kl_learned", "l1_learned", "l1_shortrun"):
            self.expect_column("landscape/" + name, "landscape/landscape.csv", name)

    def test_log_points(self):
        for tag in ("diagnostics/learning_rate", "diagnostics/steps_per_second"):
            steps = [step for step, _ in scalars(self.events, tag)]
            self.assertEqual(steps, [1, 5, 10, 15, 20])

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_the_last_landscape_is_shown(self):
        self.assertEqual(self.events.Images("landscape/landscape")[-1].step, 20)


if __name__ == "__main__":
    resumed_events, ebm_train, config = sys.argv[1:4]
    unittest.main(argv=sys.argv[:1], verbosity=2)
