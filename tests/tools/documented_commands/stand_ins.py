"""Stand-ins for the programs that the pages' commands name: what each checks, and what it runs.

usage: stand_ins.py PROGRAM ARGUMENT...      in the copy of the tree, by PROGRAM's stand-in
"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PLAIN = {"cmp", "export", "rm", "source"}  # run as they are
CALLED_BY_SCRIPTS = {"nsys", "ncu", "srun", "scontrol", "nvidia-smi"}  # and not by pages
RULES = {}  # a program's name, with * for the preset in build/PRESET: what stands in for it


def rule(*names):
    return lambda function: RULES.update(dict.fromkeys(names, function))


def rule_of(name):
    name = os.path.relpath(name) if "/" in name else name
    return re.sub(r"^build/[^/]+/", "build/*/", name)


class Refused(Exception):
    """What is wrong with a command."""


def require(holds, problem):
    if not holds:
        raise Refused(problem)


# Small networks and runs, where a command expects them.


def run(*command, **options):
    """Ends this process with the command's status, if that is a failure."""
    status = subprocess.run([str(word) for word in command], **options).returncode
    if status != 0:
        sys.exit(status)


def program(name):
    return Path(os.environ["EBM_PROGRAMS"]) / name


def train(config, out, *overrides):
    sets = [word for override in overrides for word in ("--set", override)]
    run(program("ebm_train"), config, "--out", out, "--quiet", *small(config), *sets)


def small(config):
    """The options that make a training short."""
    text = Path(config).read_text()
    sizes = {"train.iterations": 2, "train.batch_size": 3, "langevin.steps": 2}
    if re.search(r"kind: (gmm|rings)\b|toy_type", text):
        sizes |= {"landscape.resolution": 5, "landscape.kde.chains": 20}
    else:
        sizes["longrun.steps"] = 2
    return [word for key, value in sizes.items() for word in ("--set", f"{key}={value}")]


def provide_network(path, config):
    """The network of a configuration, where a command expects one."""
    if path.exists():
        return
    made = Path("made") / Path(config).stem
    if not made.exists():
        train(config, made)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(made / "checkpoints/net_000002.safetensors", path)


def provide_run(path):
    if not path.exists():
        train("configs/quick/gmm_convergent.yaml", path, "train.iterations=1")


def provide_checkpoint(network):
    """A network and its state in the folder of a run, as of a later iteration."""
    provide_run(network.parent.parent)
    for kind in ("net", "state"):
        at = network.with_name(network.name.replace("net", kind))
        if not at.exists():
            shutil.copy(network.with_name(f"{kind}_000001.safetensors"), at)


def provide_sampling_run(path):
    if path.exists():
        return
    network = Path("made/toy.safetensors")
    provide_network(network, "configs/quick/gmm_convergent.yaml")
    config = Path("made/sampling.yaml")
    config.write_text(
        "name: chains\nnetwork: {kind: toy}\nstart: uniform\n"
        f"sample: {{checkpoint: {network}, train_epsilon: 0.125, epsilon: 0.125, steps: 2}}\n"
    )
    run(program("ebm_sample"), config, "--out", path, "--quiet")


def provide_states(path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    size = 4
    for length in shape:
        size *= length
    data = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + bytes(size)
    path.write_bytes(data)


def provide_input(path, channels):
    """States or images to score, of the kind that the name says."""
    if path.suffix == ".npy":
        provide_states(path, (2, channels, 32, 32))
    elif path.suffix == ".gz":
        shutil.copy("data/mnist/train-images-idx3-ubyte.gz", path)
    elif not path.exists():
        shutil.copytree("data/flowers", path)


def header_of(path):
    """Of a safetensors file, and the data after it."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def without_metadata(path):
    """As another program would have written it."""
    header, data = header_of(path)
    header.pop("__metadata__", None)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def provide_averages(path, entry):
    """A network and another, under that name."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(ROOT / "tools/user"))
    from checkpoint_files.pth import read_pth, zip_bytes

    tensors, _ = read_pth((ROOT / "tests/data/pth/nonlocal.zip.pth").read_bytes())
    both = {f"{place}.{name}": tensors[name] for place in ("net", entry) for name in tensors}
    path.write_bytes(zip_bytes(both))


def provide_layers(path, network):
    """What the network's metadata say of its layers, in a file."""
    metadata = header_of(network)[0]["__metadata__"]
    sizes = [f"{key}: {metadata[key]}\n" for key in ("channels", "image_size")]
    path.write_text(metadata["layers"] + "\n" + "".join(sizes))


# The rules.


def on_cpu(words):
    """Options for a GPU, as a build without one takes them."""
    words = list(words)
    if "--device" in words:
        words[words.index("--device") + 1] = "cpu"
    if "--profile" in words:
        at = words.index("--profile")
        require(re.fullmatch(r"\d+:\d+", words[at + 1]), "--profile is FIRST:LAST")
        del words[at : at + 2]
    return words


@rule("build/*/ebm_train", "ebm_train")
def ebm_train(words):
    if "--resume" in words:
        provide_run(Path(words[words.index("--resume") + 1]))
        run(program("ebm_train"), *on_cpu(words), "--set", "train.iterations=2")
    else:
        config = next(word for word in words if word.endswith((".yaml", ".json")))
        if "--from" in words:
            provide_checkpoint(Path(words[words.index("--from") + 1]))
        run(program("ebm_train"), *on_cpu(words), *small(config))


@rule("build/*/ebm_sample")
def ebm_sample(words):
    if "--resume" in words:
        provide_sampling_run(Path(words[words.index("--resume") + 1]))
        run(program("ebm_sample"), *words)
        return
    file = re.search(r"sample\.checkpoint=(\S+)", " ".join(words))
    if file:
        provide_network(Path(file[1]), "configs/flowers_nonconvergent.yaml")
    else:
        provide_run(Path(words[0]))
    chains = 2
    states = re.search(r" states=(\S+)", " ".join(words))
    if states and not Path(states[1]).exists():
        Path(states[1]).parent.mkdir(parents=True, exist_ok=True)
        provide_states(Path(states[1]), (chains, 2))
    run(program("ebm_sample"), *words, "--set", "sample.steps=2", "--set", f"sample.chains={chains}")


def evaluate(*words):
    sizes = {"chains": 20, "steps": 32, "every": 4, "samples": 100,
             "annealing_chains": 20, "annealing_steps": 20}  # fmt: skip
    sets = [word for key, value in sizes.items() for word in ("--set", f"evaluate.{key}={value}")]
    run(program("ebm_evaluate"), *words, *sets)


@rule("build/*/ebm_evaluate")
def ebm_evaluate(words):
    if "--resume" in words:
        out = Path(words[words.index("--resume") + 1])
        if not out.exists():
            provide_run(out.parent)
            evaluate(out.parent, "--out", out)
        run(program("ebm_evaluate"), *words)
        return
    provide_run(Path(words[0]))
    if "--out" not in words:
        shutil.rmtree(Path(words[0]) / "evaluation", ignore_errors=True)
    evaluate(*words)


@rule("build/*/ebm_score")
def ebm_score(words):
    first = next((i for i, word in enumerate(words) if word.startswith("--")), len(words))
    options = dict(zip(words[first::2], words[first + 1 :: 2]))
    network, *inputs = words[:first] or [options["--checkpoint"], options["--input"]]
    channels = int(options.get("--channels", 1))
    config = f"configs/{'flowers' if channels == 3 else 'mnist'}_convergent.yaml"
    if "--layers" in options:
        config = "configs/quick/residual.yaml"
    if network.endswith(".safetensors"):
        provide_network(Path(network), config)
    elif not Path(network).exists():
        train(config, network)
    if "--layers" in options:
        provide_layers(Path(options["--layers"]), Path(network))
    if "--network" in options or "--layers" in options:
        without_metadata(Path(network))
    for path in (*inputs, *filter(None, [options.get("--against")])):
        provide_input(Path(path), channels)
    run(program("ebm_score"), *words)


@rule("build/*/ebm_plot")
def ebm_plot(words):
    """The one that draws: the first gnuplot on the path is none."""
    provide_run(Path(words[0]))
    path = os.environ["PATH"].split(":", 1)[1]
    run(program("ebm_plot"), *words, env=os.environ | {"PATH": path})


@rule("build/*/ebm_plans")
def ebm_plans(words):
    """Compiling plans takes minutes, and cuDNN: what the options name is there."""
    source = (ROOT / "host/apps/ebm_plans.cpp").read_text()
    gpus = re.findall(r'\{"(\w+)", "', (ROOT / "cuda/nn/gpu/cudnn/described_gpu.cpp").read_text())
    for at, word in enumerate(words):
        if word.startswith("--"):
            require(f'"{word}"' in source, f"ebm_plans has no {word}")
        elif word.endswith(".yaml"):
            require(Path(word).is_file(), f"there is no {word}")
        elif words[at - 1] == "--gpu":
            require(set(word.split(",")) <= set(gpus), f"{word}: GPUs are {gpus}")
        elif words[at - 1] == "--precision":
            require(set(word.split(",")) <= {"fp32", "tf32", "bf16"}, f"{word}: no precision")


@rule("tools/user/fetch_dataset.sh", "ebm_fetch_dataset")
def fetch_dataset(words):
    shutil.rmtree(f"data/{words[0]}", ignore_errors=True)
    run(ROOT / "tools/user/fetch_dataset.sh", words[0], f"data/{words[0]}")


@rule("tools/user/convert_checkpoint.py")
def convert_checkpoint(words):
    if "--entry" in words:
        provide_averages(Path(words[0]), words[words.index("--entry") + 1])
    elif words[0].endswith(".pth"):
        shutil.copy(ROOT / "tests/data/pth/nonlocal.zip.pth", words[0])
    else:
        provide_network(Path(words[0]), "configs/mnist_convergent.yaml")
    run(sys.executable, "-B", ROOT / "tools/user/convert_checkpoint.py", *words)


@rule("tools/user/quickstart.sh", "tools/user/profile.sh")
def whole_script(words):
    """The script itself: what it calls are stand-ins."""
    name = Path(sys.argv[1])
    run("bash", name.with_name(name.name + ".original"), *words)


@rule("nsys", "ncu")
def profiler(words):
    """Leaves a report where it is to be, and runs what is to be profiled."""
    training = [at for at, word in enumerate(words) if word.endswith("ebm_train")]
    if not training:
        require(words[0] == "stats" or words[0] == "--import", f"{words[0]}: neither nor")
        return
    for at, word in enumerate(words):
        if word.startswith("--output=") or word == "--export":
            report = word.removeprefix("--output=") if "=" in word else words[at + 1]
            Path(f"{report}.{'nsys' if 'nsys' in sys.argv[1] else 'ncu'}-rep").touch()
    run(*words[training[0] :])


def presets(kind):
    presets = json.loads((ROOT / "CMakePresets.json").read_text())[kind]
    return [preset["name"] for preset in presets if not preset.get("hidden")]


def require_preset(name, kind="configurePresets"):
    require(name in presets(kind), f"{name}: {kind} are {presets(kind)}")


def require_target(name):
    folders = ("host", "tests", "tests/fuzz", "tools/benchmark", "tools/package")
    lists = [(ROOT / folder / "CMakeLists.txt").read_text() for folder in folders]
    require(any(re.search(rf"\b{name}\b", text) for text in lists), f"no CMakeLists.txt has {name}")


@rule("cmake")
def cmake(words):
    """It installs; the rest would take too long."""
    if words[0] == "--preset":
        require_preset(words[1])
        return
    require(words[0] in ("--build", "--install"), f"cmake {words[0]}: no rule for that")
    if words[1] == "--preset":
        require_preset(words[2], "buildPresets")
        return
    require_preset(Path(words[1]).name)
    if words[0] == "--install":
        path = os.environ["PATH"].split(":", 1)[1]
        run("cmake", "--install", os.environ["EBM_PROGRAMS"], *words[2:],
            stdout=subprocess.DEVNULL, env=os.environ | {"PATH": path})  # fmt: skip
    elif words[2:]:
        require(words[2] == "--target", f"cmake --build {words[1]} {words[2]}: no rule for that")
        for target in words[3:]:
            require_target(target)


@rule("cpack")
def cpack(words):
    require(words[0] == "--config", f"cpack {words[0]}: no rule for that")
    require_preset(Path(words[1]).parent.name)
    require((program("ebm_train").parent / Path(words[1]).name).exists(), f"no {words[1]}")
    package = (ROOT / "tools/package/CMakeLists.txt").read_text()
    Path("build/cpu/package").mkdir(exist_ok=True)
    name = re.search(r"set\(CPACK_PACKAGE_NAME (\w+)\)", package)[1]
    Path(f"build/cpu/package/{name}_1_amd64.deb").touch()


@rule("apt-get")
def apt_get(words):
    """What is installed is there: nothing matches no file."""
    require(words[0] == "install" and Path(words[1]).is_file(), f"apt-get {words}?")


@rule("ctest")
def ctest(words):
    require(words[0] == "--preset", f"ctest {words[0]}: no rule for that")
    require_preset(words[1], "testPresets")


@rule("ninja")
def ninja(words):
    require(words[0] == "-C", "ninja without -C: no rule for that")
    require_preset(Path(words[1]).name)
    require_target(words[2])


@rule("tools/test.sh")
def test_sh(words):
    text = (ROOT / "tools/test.sh").read_text()
    for order in os.environ.get("EBM_EMULATED_CUDA", "").split(","):
        require(order in text, f"EBM_EMULATED_CUDA: test.sh knows no {order}")
    while words and words[0].startswith("--"):
        require(f"#   {words[0]} " in text, f"test.sh has no {words[0]}")
        words = words[1:]
    if words:
        require_preset(words[0], "testPresets")
        require(len(words) == 1 or words[1] == "-R", f"test.sh {words}: no rule for that")
    for name in words[2:]:
        files = [ROOT / "tests/CMakeLists.txt", *(ROOT / "tests").rglob("*_test.cpp")]
        tests = [file.read_text() for file in files]
        require(any(name in test for test in tests), f"no test's name has {name} in it")


@rule("tools/setup.sh")
def setup_sh(words):
    for word in words:
        if word not in ("--dry-run", "benchmark", "ci"):
            require_preset(word)
    run(ROOT / "tools/setup.sh", "--dry-run", *[word for word in words if word != "--dry-run"])


@rule(".ci/run", "tools/lint.sh", "tools/gpu_check.sh", "tools/pack_build.sh", "tools/fuzz.sh",
      "tools/benchmark/run.sh", "tools/benchmark/gpu.sh", "tools/user/slurm/test.sh",
      "tools/deb_check.sh")  # fmt: skip
def script_of_minutes(words):
    """It is a script, its options are in its text, and its other arguments are of a known form."""
    name = Path(os.path.relpath(sys.argv[1]))
    text = (ROOT / name).read_text()
    run("bash", "-n", ROOT / name)
    for at, word in enumerate(words):
        if word.startswith("--"):
            require(word in text, f"{name} has no {word}")
        elif name.name == "fuzz.sh" and not word.isdigit():
            require((ROOT / "tests/fuzz/corpus" / word).is_dir(), f"{word}: no target of fuzz.sh")
        elif words[at - 1] == "--build":
            require_preset(Path(word.removesuffix(".tar.xz")).name)
        else:
            require(re.fullmatch(r"\d+(,\d+)*", word), f"{name} {word}: no rule for that")


@rule("sbatch")
def sbatch(words):
    """Runs a copy of the script here, as Slurm does, with the job's variables."""
    at = next(at for at, word in enumerate(words) if not word.startswith("-"))
    for option in words[:at]:
        require(re.match(r"--(time|gres|cpus-per-task|partition)=", option), f"sbatch {option}?")
    require(words[at].endswith(".sbatch"), f"sbatch {words[at]}?")
    copy = shutil.copy(words[at], "slurm_script")
    command = " ".join([os.path.abspath(words[at]), *words[at + 1 :]])
    job = {"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "1", "COMMAND": command}
    run("bash", copy, *words[at + 1 :], env=os.environ | job)


@rule("scontrol")
def scontrol(words):
    require(words == ["show", "job", "1"], f"scontrol {words}?")
    print("JobId=1 JobName=ebm_train\n   Command=" + os.environ["COMMAND"] + "\n   WorkDir=/")


@rule("srun")
def srun(words):
    require(words[0] == "--ntasks=1", f"srun {words[0]}?")
    run(*words[1:])


@rule("nvidia-smi")
def nvidia_smi(words):
    print("GPU 0: a stand-in")


@rule("pip")
def pip(words):
    packages = (ROOT / "tests/requirements.txt").read_text()
    require(words[0] == "install" and all(f"\n{word}==" in packages for word in words[1:]),
            f"pip {words}: what the tests do not install")  # fmt: skip


@rule("tensorboard")
def tensorboard(words):
    require(words[0] == "--logdir", f"tensorboard {words[0]}?")
    provide_run(Path(words[1]) / "a")
    require([*Path(words[1]).glob("*/tensorboard/events.out.tfevents.*")], "no events there")


if __name__ == "__main__":
    try:
        RULES[rule_of(sys.argv[1])](sys.argv[2:])
    except Refused as refusal:
        sys.exit(f"{sys.argv[1]}: {refusal}")
