"""Runs, in small, every command that README.md and docs/*.md show, and checks what they name.

usage: documented_commands_test.py BUILD      the folder that has ebm_train and the others

Each block of commands is a bash script, run in a copy of the tree where every program is a
stand-in: a rule of documented_commands/stand_ins.py, which checks what the command asks for and, if
it can, runs the real thing with few steps and small data. A command without a rule is a failure,
and so is a rule that no command uses. Nothing here builds, installs or needs a network.
"""

import ast
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = ROOT / "tests/tools/documented_commands/stand_ins.py"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
sys.path.insert(0, str(STAND_INS.parent))

from small_data import png, write_mirror  # noqa: E402
from stand_ins import CALLED_BY_SCRIPTS, PLAIN, RULES, rule_of  # noqa: E402


class Block:
    """Lines of a page between ```; `line` is that of the first of them, from 1."""

    def __init__(self, page, line, language, text):
        self.page, self.line, self.language, self.text = page, line, language, text
        self.place = f"{page.relative_to(ROOT)}:{line}"


def blocks_of(page):
    blocks, language, lines = [], None, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if not line.startswith("```"):
            lines.append(line)
        elif language is None:
            language, lines, begin = line[3:].strip() or "sh", [], number + 1
        else:
            blocks.append(Block(page, begin, language, "\n".join(lines) + "\n"))
            language = None
    return blocks


def programs_of(block):
    """The first word of every command, with its line."""
    text = re.sub(r"\\\n", " \0", block.text)  # a line that goes on still counts as two
    line = block.line
    for command in text.split("\n"):
        tokens = shlex.shlex(command.replace("\0", ""), posix=True, punctuation_chars=True)
        tokens.whitespace_split = True
        first = True
        for token in tokens:
            if set(token) <= set("();<>|&"):
                first = token not in ("<", ">", ">>")
            elif first and not re.match(r"\w+=", token):
                yield line, token
                first = False
        line += 1 + command.count("\0")


class Check:
    def __init__(self, programs, scratch):
        self.failures = []
        self.used = set()
        self.tree = scratch / "tree"
        self.bin = scratch / "bin"
        self.environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(scratch), "LC_ALL": "C.UTF-8",
            "EBM_PROGRAMS": str(programs), "EBM_MIRROR": f"file://{scratch}/mirror",
            "EBM_MIRROR_SUMS": str(scratch / "sums"), "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "passive",
        }  # fmt: skip
        self.bin.mkdir()
        write_mirror(scratch / "mirror")
        for part in ("configs", "tools", ".ci"):
            shutil.copytree(ROOT / part, self.tree / part)
        shutil.copytree(ROOT / "tests/data/published", self.tree / "config_locker")
        for script in ("quickstart.sh", "profile.sh"):
            file = self.tree / "tools/user" / script
            file.rename(file.with_name(script + ".original"))
        for data in ("mnist", "cifar10", "flowers102"):
            self.run(["bash", "tools/user/fetch_dataset.sh", data])
        (self.tree / "data/flowers").mkdir()
        for i in range(9):
            (self.tree / f"data/flowers/{i}.png").write_bytes(png(i))
        for name in CALLED_BY_SCRIPTS | {"cmake", "tools/setup.sh"}:
            self.put_stand_in(name)
        for preset in ("cpu", "cuda"):
            self.put_stand_in(f"build/{preset}/ebm_train")
        (self.bin / "gnuplot").symlink_to("/bin/true")  # a third of a second for every plot

    def fail(self, place, problem):
        self.failures.append(f"{place}: {problem}")

    def run(self, command):
        return subprocess.run(command, cwd=self.tree, env=self.environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip

    def put_stand_in(self, name):
        file = self.tree / name if "/" in name else self.bin / name
        file.parent.mkdir(parents=True, exist_ok=True)
        command = shlex.join([sys.executable, "-BSE", str(STAND_INS), name])
        file.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        file.chmod(0o755)

    def check_commands(self, block):
        """As one script whose lines have the page's numbers, in folders of its own."""
        known = True
        for line, name in programs_of(block):
            key = name if name in PLAIN else rule_of(name)
            if key in PLAIN or key in RULES:
                self.used.add(key)
                if key in RULES:
                    self.put_stand_in(os.path.relpath(name) if "/" in name else name)
            else:
                known = False
                place = f"{block.page.relative_to(ROOT)}:{line}"
                self.fail(place, f"no rule for {name}: write one in {STAND_INS.name}")
        if not known:
            return
        shutil.rmtree(self.tree / "runs", ignore_errors=True)
        trap = "set -eE; trap 'echo \"line $LINENO: $BASH_COMMAND\" >&2' ERR"
        script = self.tree / "block.sh"
        script.write_text(trap + "\n" * (block.line - 1) + block.text)
        outcome = self.run(["bash", script])
        if outcome.returncode != 0:
            self.fail(block.place, f"status {outcome.returncode}\n{outcome.stdout.rstrip()}")

    def check_yaml(self, block):
        """The block's sections in place of those of a configuration that runs."""
        sections = {}
        base = (ROOT / "configs/quick/mnist.yaml").read_text()
        for text in (base, block.text):
            for section in re.findall(r"^\w.*\n(?:[ #].*\n)*", text, re.MULTILINE):
                sections[section.split(":")[0]] = section
        config = self.tree / "block.yaml"
        config.write_text("".join(sections.values()))
        shutil.rmtree(self.tree / "runs", ignore_errors=True)
        outcome = self.run(["build/cuda/ebm_train", "block.yaml"])
        if outcome.returncode != 0:
            self.fail(block.place, f"status {outcome.returncode}\n{outcome.stdout.rstrip()}")

    def check_python(self, page, blocks):
        """All of a page as one program: compiled, and checked by PAGE_page.py where Python has what
        it imports."""
        if not blocks:
            return
        text = ""
        for block in blocks:
            text += "\n" * (block.line - 1 - text.count("\n")) + block.text
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            self.fail(f"{page.relative_to(ROOT)}:{error.lineno}", error.msg)
            return
        imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
                    for alias in node.names]  # fmt: skip
        imported += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        if any(importlib.util.find_spec(name.split(".")[0]) is None for name in imported):
            print(f"{page.relative_to(ROOT)}: Python here lacks one of {sorted(set(imported))}")
            return
        shutil.rmtree(self.tree / "runs", ignore_errors=True)
        for file in re.findall(r'load_file\("(runs/.*?)"\)', text):
            self.put_stand_in("build/cuda/ebm_score")
            self.run(["build/cuda/ebm_score", "--checkpoint", file, "--input", "x.npy",
                      "--energy", "f.npy"])  # fmt: skip
        (self.tree / "page.py").write_text(text)
        check = STAND_INS.with_name(f"{page.stem}_page.py")
        self.environment["PYTHONPATH"] = str(self.tree)
        outcome = self.run([sys.executable, "-B", check, ROOT])
        if outcome.returncode != 0:
            self.fail(page.relative_to(ROOT), outcome.stdout.rstrip())

    def check_page(self, page):
        blocks = blocks_of(page)
        for block in blocks:
            if block.language == "sh":
                self.check_commands(block)
            elif block.language == "yaml":
                self.check_yaml(block)
            elif block.language not in ("python", "text"):
                self.fail(block.place, f"a block of {block.language}: no rule for that")
        self.check_python(page, [block for block in blocks if block.language == "python"])
        self.check_names(page)

    def check_names(self, page):
        """Links lead somewhere, and paths that are named exist."""
        for number, line in enumerate(page.read_text().splitlines(), 1):
            place = f"{page.relative_to(ROOT)}:{number}"
            for target in re.findall(r"\]\(([^)]*)\)", line):
                if re.match(r"https?:", target):
                    continue
                name, _, heading = target.partition("#")
                file = page.parent / name if name else page
                if not file.exists():
                    self.fail(place, f"there is no {target}")
                elif heading and heading not in headings_of(file):
                    self.fail(place, f"{file.relative_to(ROOT)} has no heading #{heading}")
            for path in re.findall(r"(?<![\w/.~$-])(?:cuda|host|tests|tools|configs|docs|\.ci)/"
                                   r"[\w./*-]*\w", line):  # fmt: skip
                if "NAME" not in path and not list(ROOT.glob(path)):
                    self.fail(place, f"there is no {path}")

    def check_front_page(self):
        lines = (ROOT / "README.md").read_text().splitlines()
        if len(lines) > 150:
            self.fail("README.md", f"{len(lines)} lines; a front page has 150 at most")
        for number, line in enumerate(lines, 1):
            if len(line) > 100:
                self.fail(f"README.md:{number}", f"{len(line)} characters; 100 at most")

    def check_version(self):
        """One version everywhere."""
        version = re.search(r"project\(ebm VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        for file, pattern in (("CHANGELOG.md", r"^## \[(\d.*?)\]"),
                              ("CITATION.cff", r"^version: (.*)$")):  # fmt: skip
            found = re.search(pattern, (ROOT / file).read_text(), re.MULTILINE)
            if not found or found[1] != version:
                self.fail(file, f"is not of version {version}, which CMakeLists.txt has")

    def check_rules(self):
        for unused in sorted((RULES.keys() | PLAIN) - CALLED_BY_SCRIPTS - self.used):
            self.fail(STAND_INS.name, f"no page has a command for the rule {unused}")


def headings_of(page):
    """As GitHub names them in links."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def main():
    with tempfile.TemporaryDirectory() as folder:
        check = Check(Path(sys.argv[1]).resolve(), Path(folder))
        for page in PAGES:
            check.check_page(page)
        check.check_front_page()
        check.check_version()
        check.check_rules()
    for failure in check.failures:
        print(failure)
    sys.exit(f"{len(check.failures)} failures" if check.failures else 0)


if __name__ == "__main__":
    main()
