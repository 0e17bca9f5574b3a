"""Opens the reports of two small runs in headless Chromium: narrow and wide, light and dark.

usage: report_browser_test.py EBM_TRAIN EBM_PLOT CONFIGS
CONFIGS is the folder configs. Where Chromium or gnuplot is not installed, the exit status is 77,
and a line says so. With EBM_SCREENSHOTS=DIR, pictures of the pages are left there, to be looked at.
"""

import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from html import unescape
from pathlib import Path

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
for tool, package in ((BROWSER, "chromium-headless-shell"), (shutil.which("gnuplot"), "gnuplot-nox")):
    if not tool:
        print(f"skipped: {package} is not installed; ./tools/setup.sh ci does it")
        sys.exit(77)

# What a page is like once it is laid out, as JSON at its end. It comes before the page's own rule
# against scripts, which holds for what is below it.
PROBE = r"""<script>
const violations = [];
addEventListener("securitypolicyviolation", event => violations.push(event.blockedURI));
addEventListener("load", () => {
  const all = selector => [...document.querySelectorAll(selector)];
  all("details").forEach(details => details.open = true);
  const colour = text => text.match(/[\d.]+/g).map(Number);
  const luminance = rgb => rgb.slice(0, 3)
    .map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const rgba = colour(getComputedStyle(element).backgroundColor);
      if (rgba.length < 4 || rgba[3] > 0) return luminance(rgba);
    }
    return 1;
  };
  const contrast = element => {
    const pair = [luminance(colour(getComputedStyle(element).color)), ground(element)];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  };
  const hasText = element => element.checkVisibility() &&
    [...element.childNodes].some(node => node.nodeType == 3 && node.data.trim());
  const texts = all("body *").filter(hasText);
  const found = {
    width: innerWidth,
    needed: document.documentElement.scrollWidth,
    images: all("img").map(image => image.naturalWidth),
    shown_images: all("img").map(image => image.getBoundingClientRect().width),
    alts: all("img").map(image => image.alt),
    ground: ground(document.body),
    texts: texts.length,
    faint: texts.filter(text => contrast(text) < 4.5).map(text => text.textContent),
    small: texts.filter(text => parseFloat(getComputedStyle(text).fontSize) < 14)
      .map(text => text.textContent),
    headings: all("h1, h2, h3, h4, h5, h6").map(heading => Number(heading.tagName[1])),
    scrolling: all("body *").filter(e => e.scrollWidth > e.clientWidth + 1 &&
        getComputedStyle(e).overflowX == "auto").map(e => e.tabIndex),
    scrolling_figures: all("figure .scroll").filter(e => e.scrollWidth > e.clientWidth + 1).length,
    heads_without_scope: all("th:not([scope])").length,
    tables_without_caption: all("table:not(:has(caption))").length,
    dead_links: all("a").filter(a => !document.getElementById(a.hash.slice(1))).length,
    ids: all("[id]").map(element => element.id),
    language: document.documentElement.lang,
    title: document.title,
    loaded: performance.getEntriesByType("resource").map(entry => entry.name)
      .filter(name => !name.startsWith("data:")),
    violations,
  };
  const result = document.createElement("pre");
  result.id = "probe";
  result.textContent = JSON.stringify(found);
  document.body.append(result);
});
</script>
"""

EVALUATION = {
    "network": "runs/a/checkpoints/net_000020.safetensors", "iteration": 20,
    "verdict": "non-convergent",
    "why": "One of the criteria does not hold: chains from noise and from data differ.",
    "criteria": [
        {"name": "energy_gap", "value": 0.12, "bound": 0.5, "holds": "yes",
         "says": "The long chains' mean energy is 0.12 nats from that of data, at most 0.5."},
        {"name": "rhat", "value": 1.31, "bound": 1.01, "holds": "no",
         "says": "R̂ over all starts is 1.31, above 1.01."},
        {"name": "an_unreasonably_long_name_for_a_criterion", "value": None, "bound": 0.05,
         "holds": "undecided", "says": None}],
    "log_z": {"forward": -3.21, "forward_se": 0.003, "reverse": -3.19, "reverse_se": 0.004,
              "ess": 812.4, "support": {"kind": "box", "low": -4.6, "high": 4.6,
                                        "why": "a quarter beyond all that was seen of the data"}},
    "log_likelihood": {"train": {"lower": -1.23, "upper": -1.2, "bits_per_dimension": 0.88},
                       "test": None, "unit": "nats", "gaussian": -2.5},
    "mixing": {"rhat": 1.31, "ess_bulk": 1234.5, "ess_tail": 812.2,
               "starts": {"data": {"rhat": 1.001, "ess_bulk": 401, "ess_tail": 399.1},
                          "noise": {"rhat": 1.2, "ess_bulk": 40, "ess_tail": None}}},
    "distances": {"short_run": {"frechet": 0.012, "mmd": -0.00012, "precision": 0.9, "recall": 0.9},
                  "held_out": {"frechet": 0.002, "mmd": 0.00002, "precision": 1, "recall": 1}},
    "record": {"iterations": 20, "d_s_mean": 0.01, "d_s_sign_changes": 0.48},
    "seconds": 71.5,
}


def train(folder, config, *settings):
    subprocess.run([ebm_train, configs / config, "--quiet", "--threads", "1", "--out", folder]
                   + [word for setting in settings for word in ("--set", setting)], check=True)


def toy_run(folder):
    """Eight landscapes, and an evaluation with a plot that is known and one that is not."""
    train(folder, "quick/gmm_convergent.yaml", "train.iterations=14", "langevin.steps=10",
          "log.every=7", "landscape.every=2", "landscape.resolution=40",
          "landscape.kde.chains=100")
    evaluation = folder / "evaluation"
    evaluation.mkdir()
    (evaluation / "evaluation.json").write_text(json.dumps(EVALUATION))
    shutil.copy(folder / "landscape/landscape.png", evaluation / "energy_of_chains.png")
    shutil.copy(folder / "diagnosis.png", evaluation / "something_new.png")


def image_run(folder):
    """Short runs, bank and long runs of digits that are noise."""
    digits = folder.parent / "digits"
    digits.mkdir()
    pixels = random.Random(1).randbytes(40 * 28 * 28)
    (digits / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, 40, 28, 28) + pixels)
    train(folder, "quick/mnist.yaml", f"data.path={digits}", "network.features=2",
          "train.iterations=4", "train.batch_size=16", "langevin.steps=4",
          "langevin.init=persistent", "log.every=2", "longrun.every=2", "longrun.steps=40")


def chromium(page, width, dark, *options):
    profile = page.parent / "profile"
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
               "--disable-background-networking", f"--user-data-dir={profile}",
               "--hide-scrollbars", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
               "--virtual-time-budget=10000", *options, page.as_uri()]
    return subprocess.run(command, check=True, timeout=120, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, encoding="utf-8").stdout


def probed(page, width, dark):
    dom = chromium(page, width, dark, f"--window-size={width},1000", "--dump-dom")
    return json.loads(unescape(re.search(r'<pre id="probe">(.*)</pre>', dom)[1]))


class Reports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.pages = {}
        for make in (toy_run, image_run):
            run = Path(cls.folder.name) / make.__name__
            make(run)
            subprocess.run([ebm_plot, run], check=True, stdout=subprocess.DEVNULL)
            report = (run / "report.html").read_text(encoding="utf-8")
            page = run / "probed.html"
            page.write_text(report.replace("<head>\n", "<head>\n" + PROBE, 1), encoding="utf-8")
            cls.pages[make.__name__] = page

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_every_page_fits_and_can_be_read(self):
        for name, page in self.pages.items():
            for width in (360, 1600):
                for dark in (False, True):
                    with self.subTest(page=name, width=width, dark=dark):
                        self.check(name, probed(page, width, dark), width, dark)

    def check(self, name, found, width, dark):
        self.assertEqual(found["width"], width)
        self.assertLessEqual(found["needed"], width)
        self.assertLess(found["ground"], 0.05) if dark else self.assertGreater(found["ground"], 0.9)
        # diagnosis, the summary, six landscapes, two plots of the evaluation; diagnosis, two
        # short runs, two banks, two long runs with two plots each
        self.assertEqual(len(found["images"]), 10 if name == "toy_run" else 11)
        for number in found["images"] + found["shown_images"]:
            self.assertGreater(number, 200)
        self.assertTrue(all(len(alt) > 15 for alt in found["alts"]), found["alts"])
        self.assertGreater(found["texts"], 50)
        self.assertEqual(found["faint"], [])
        self.assertEqual(found["small"], [])
        self.assertEqual(found["headings"][0], 1)
        self.assertEqual(found["headings"].count(1), 1)
        for before, level in zip(found["headings"], found["headings"][1:]):
            self.assertLessEqual(level, before + 1)
        self.assertTrue(all(index == 0 for index in found["scrolling"]), "not for keyboards")
        if width == 360:
            self.assertGreater(found["scrolling_figures"], 0)
        else:
            self.assertEqual(found["scrolling_figures"], 0)
        for nothing in ("heads_without_scope", "tables_without_caption", "dead_links"):
            self.assertEqual(found[nothing], 0, nothing)
        self.assertEqual(len(set(found["ids"])), len(found["ids"]))
        self.assertEqual(found["language"], "en")
        self.assertIn("Verdict", found["title"])
        self.assertEqual(found["loaded"], [])
        self.assertEqual(found["violations"], [])

    @unittest.skipUnless("EBM_SCREENSHOTS" in os.environ, "EBM_SCREENSHOTS is not set")
    def test_screenshots(self):
        for name, page in self.pages.items():
            for width, height in ((360, 9000), (1600, 6000)):
                for dark in (False, True):
                    shade = "dark" if dark else "light"
                    file = Path(os.environ["EBM_SCREENSHOTS"]) / f"{name}_{width}_{shade}.png"
                    chromium(page.with_name("report.html"), width, dark,
                             f"--window-size={width},{height}", f"--screenshot={file.resolve()}")
                    self.assertTrue(file.exists())


if __name__ == "__main__":
    ebm_train, ebm_plot, configs = map(Path, sys.argv[1:4])
    unittest.main(argv=sys.argv[:1], verbosity=2)
