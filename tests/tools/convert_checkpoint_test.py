"""convert_checkpoint.py on files of PyTorch, hostile and damaged ones, and with ebm_score."""

import contextlib
import io
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/user"))

from checkpoint_files.pickle_writer import Call, Reference, pickled  # noqa: E402
from checkpoint_files.pth import MAGIC, VERSION, read_pth  # noqa: E402
from checkpoint_files.restricted_pickle import ORDERED_DICT, TENSOR, Global  # noqa: E402
from convert_checkpoint import MALFORMED  # noqa: E402

PTH = ROOT / "tests/data/pth"
FORMATS = ("zip", "legacy")


def zip_file(
    data_pkl: bytes, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED
) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in {"data.pkl": data_pkl, **members}.items():
            archive.writestr("net/" + name, data)
    return stream.getvalue()


def legacy_file(value_pickle: bytes, keys: object = [], storages: bytes = b"") -> bytes:
    parts = [pickled(part) for part in (MAGIC, VERSION, {})]
    return b"".join(parts) + value_pickle + pickled(keys) + storages


def tensor(count: int = 6, kind: str = "FloatStorage", view: tuple = (0, (2, 3), (3, 1))) -> Call:
    """A tensor in storage 0 of a zip file."""
    storage = Reference(("storage", Global("torch", kind), "0", "cuda:0", count))
    return Call(TENSOR, (storage, *view, False, Call(ORDERED_DICT, ())))


class Case(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_program(self, command: list, **options: object) -> subprocess.CompletedProcess:
        text = [str(word) for word in command]
        return subprocess.run(text, capture_output=True, text=True, cwd=self.folder, **options)

    def convert(self, *arguments: object, **options: object) -> subprocess.CompletedProcess:
        program = [sys.executable, "-B", ROOT / "tools/user/convert_checkpoint.py"]
        return self.run_program([*program, *arguments], **options)

    def converted(self, *arguments: object) -> bytes:
        """The file that a conversion that must succeed writes."""
        done = self.convert(*arguments, "--force")
        self.assertEqual(done.returncode, 0, done.stderr)
        return (self.folder / arguments[1]).read_bytes()

    def refuses(self, content: bytes, *says: str) -> None:
        """The program says so, exits with 3 and leaves nothing."""
        (self.folder / "in.pth").write_bytes(content)
        done = self.convert("in.pth", "out.safetensors")
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        for text in ("in.pth: ", *says):
            self.assertIn(text, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(os.listdir(self.folder), ["in.pth"])

    def refuses_pickle(self, value_pickle: bytes, *says: str) -> None:
        self.refuses(zip_file(value_pickle, {}), *says)
        self.refuses(legacy_file(value_pickle), *says)


def tensors_of(safetensors: bytes) -> dict[str, tuple[list[int], bytes]]:
    length = struct.unpack("<Q", safetensors[:8])[0]
    header = json.loads(safetensors[8 : 8 + length])
    header.pop("__metadata__", None)
    data = safetensors[8 + length :]
    return {
        name: (fields["shape"], data[slice(*fields["data_offsets"])])
        for name, fields in header.items()
    }


class Conversion(Case):
    def test_both_formats_of_pytorch_give_its_tensors(self) -> None:
        for name in ("toy", "nonlocal", "odd"):
            expected = tensors_of((PTH / f"{name}.safetensors").read_bytes())
            for kind in FORMATS:
                with self.subTest(name=name, kind=kind):
                    out = self.converted(PTH / f"{name}.{kind}.pth", "out.safetensors")
                    self.assertEqual(tensors_of(out), expected)

    def test_round_trips(self) -> None:
        for name in ("toy", "odd"):
            whole = PTH / f"{name}.safetensors"
            for legacy in ([], ["--legacy"]):
                pth = self.converted(whole, "net.pth", *legacy)
                self.assertEqual(pth[:2], b"\x80\x02" if legacy else b"PK")
                out = self.converted("net.pth", "out.safetensors")
                self.assertEqual(tensors_of(out), tensors_of(whole.read_bytes()))

    def test_pythons_own_unpickler_understands_what_is_written(self) -> None:
        class Unpickler(pickle.Unpickler):
            def find_class(self, module: str, name: str) -> object:
                if module == "torch._utils":
                    return lambda *arguments: (name, *arguments)
                return f"{module}.{name}" if module == "torch" else super().find_class(module, name)

            def persistent_load(self, reference: object) -> object:
                return reference

        self.converted(PTH / "toy.safetensors", "net.pth")
        with zipfile.ZipFile(self.folder / "net.pth") as archive:
            net = Unpickler(archive.open("archive/data.pkl")).load()
            storage = archive.read("archive/data/" + net["f.2.weight"][1][2])
        reference = ("storage", "torch.FloatStorage", net["f.2.weight"][1][2], "cpu", 8)
        expected = ("_rebuild_tensor_v2", reference, 0, (4, 2, 1, 1), (2, 1, 1, 1), False, {})
        self.assertEqual(net["f.2.weight"], expected)
        whole = tensors_of((PTH / "toy.safetensors").read_bytes())
        self.assertEqual(storage, whole["f.2.weight"][1])
        self.assertEqual(net.keys(), whole.keys())

    def test_metadata_name_the_network(self) -> None:
        def metadata(*options: object) -> dict[str, str]:
            out = self.converted(PTH / "nonlocal.zip.pth", "out.safetensors", *options)
            return json.loads(out[8 : 8 + struct.unpack("<Q", out[:8])[0]]).get("__metadata__")

        self.assertIsNone(metadata())
        named = metadata(
            "--network", "nonlocal", "--channels", 1, "--features", 2, "--epsilon", "0.0075"
        )
        expected = {"network": "nonlocal", "channels": "1", "features": "2", "epsilon": "0.0075"}
        self.assertEqual(named, expected)
        self.assertEqual(metadata("--network", "toy")["channels"], "2")

    def test_energies_are_those_of_the_original(self) -> None:
        score = Path(os.environ["EBM_PROGRAMS"]) / "ebm_score"
        states = {"toy": (5, 2), "nonlocal": (5, 1, 32, 32)}
        for name, shape in states.items():
            count = shape[0] * shape[1] * (1024 if len(shape) == 4 else 1)
            header = (
                repr({"descr": "<f4", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
            )
            values = struct.pack(f"<{count}f", *((i * 37 % 101) / 50 - 1 for i in range(count)))
            start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
            (self.folder / "x.npy").write_bytes(start + values)
            network = ["--network", name, "--channels", shape[1], "--features", 2]
            for kind in FORMATS:
                self.converted(PTH / f"{name}.{kind}.pth", f"{kind}.safetensors", *network)
            energies = []
            for net, options in ((PTH / f"{name}.safetensors", network), ("zip.safetensors", []),
                                 ("legacy.safetensors", [])):  # fmt: skip
                files = ["--checkpoint", net, "--input", "x.npy", "--energy", "e.npy"]
                done = self.run_program([score, *files, *options])
                self.assertEqual(done.returncode, 0, done.stderr)
                energies.append((self.folder / "e.npy").read_bytes())
            self.assertEqual(energies[1:], energies[:1] * 2)

    def test_big_endian_files_are_read(self) -> None:
        data = struct.pack(">6f", *range(6))
        for order, values in (("big", range(6)), ("little", struct.unpack("<6f", data))):
            members = {"byteorder": order.encode(), "data/0": data}
            (self.folder / "in.pth").write_bytes(zip_file(pickled({"a": tensor()}), members))
            out = tensors_of(self.converted("in.pth", "out.safetensors"))
            self.assertEqual(out, {"a": ([2, 3], struct.pack("<6f", *values))})

    def entry(self, content: bytes, *arguments: object) -> dict[str, tuple[list[int], bytes]]:
        (self.folder / "in.pth").write_bytes(content)
        return tensors_of(self.converted("in.pth", "out.safetensors", *arguments))

    def test_a_network_is_found_in_what_holds_it(self) -> None:
        net = {"a.weight": tensor()}
        data = {"data/0": bytes(24)}
        optimizer = {"state": {0: {"exp_avg": tensor()}}, "param_groups": []}
        for value in (
            net,
            {"state_dict": net, "epoch": 3, "optimizer": optimizer},
            {"trainer": {"ema": {"step": 7, "weights": net}, "optimizers": [optimizer]}},
        ):
            self.assertEqual(list(self.entry(zip_file(pickled(value), data))), ["a.weight"])
        done = self.convert("in.pth", "again.safetensors")
        self.assertIn("those under 'trainer.ema.weights'", done.stdout)

    def test_of_several_networks_one_is_chosen(self) -> None:
        values = struct.pack("<12f", *range(12))
        second = (6, (2, 3), (3, 1))
        nested = {
            "model": {"a": tensor(12)},
            "ema": {"inner": {"a": tensor(12, view=second), "module.b": tensor(12)}},
        }
        content = zip_file(pickled(nested), {"data/0": values})
        self.refuses(content, "2 networks", "'model': a", "'ema.inner': a, module.b", "--entry NAME")
        self.assertEqual(self.entry(content, "--entry", "model"), {"a": ([2, 3], values[:24])})
        averaged = self.entry(content, "--entry", "ema.inner")
        self.assertEqual(averaged, {"a": ([2, 3], values[24:]), "module.b": ([2, 3], values[:24])})
        self.assertEqual(list(self.entry(content, "--entry", "ema.inner.module")), ["b"])
        for nothing in ("ema.", "mode", "a"):
            done = self.convert("in.pth", "other.safetensors", "--entry", nothing)
            self.assertEqual(done.returncode, 3, nothing)
            for says in (repr(nothing), "'model': a", "--entry"):
                self.assertIn(says, done.stderr)

    def test_an_entry_may_be_a_prefix_of_names(self) -> None:
        flat = {"online.a": tensor(), "ema.a": tensor(), "ema.module.b": tensor(), "initted": tensor()}
        content = zip_file(pickled(flat), {"data/0": bytes(24)})
        self.assertEqual(list(self.entry(content)), list(flat))
        self.assertEqual(list(self.entry(content, "--entry", "ema")), ["a", "module.b"])
        self.converted("in.pth", "all.safetensors")
        out = self.converted("all.safetensors", "ema.safetensors", "--entry", "ema.module")
        self.assertEqual(tensors_of(out), {"b": ([2, 3], bytes(24))})

    def test_metadata_stay_with_a_network_that_is_taken_out(self) -> None:
        header = {
            "__metadata__": {"epsilon": "0.5", "network": "toy", "xxh3_128": "of all of it"},
            **{f"ema.{n}": {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]}
               for i, n in enumerate("ab")},
        }  # fmt: skip
        text = json.dumps(header).encode()
        (self.folder / "in.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
        out = self.converted("in.safetensors", "out.safetensors", "--entry", "ema")
        kept = json.loads(out[8 : 8 + struct.unpack("<Q", out[:8])[0]])["__metadata__"]
        self.assertEqual(kept, {"epsilon": "0.5", "network": "toy"})
        named = self.converted("in.safetensors", "out.safetensors", "--network", "vanilla",
                               "--channels", "3")  # fmt: skip
        kept = json.loads(named[8 : 8 + struct.unpack("<Q", named[:8])[0]])["__metadata__"]
        self.assertEqual(kept["network"], "vanilla")

    def test_counters_beside_the_weights_are_kept(self) -> None:
        counter = tensor(1, "LongStorage", (0, (), ()))
        content = zip_file(
            pickled({"n_averaged": counter}), {"data/0": struct.pack("<q", 70000)}
        )
        self.assertEqual(self.entry(content), {"n_averaged": ([], struct.pack("<f", 70000))})
        again = self.convert("out.safetensors", "back.pth")
        self.assertEqual(again.returncode, 0, again.stderr)
        for code, dtype, data in (("I64", "q", 3), ("BOOL", "?", True), ("U8", "B", 200)):
            size = struct.calcsize(dtype)
            entry = {"dtype": code, "shape": [], "data_offsets": [0, size]}
            text = json.dumps({"c": entry}).encode()
            whole = struct.pack("<Q", len(text)) + text + struct.pack("<" + dtype, data)
            (self.folder / "c.safetensors").write_bytes(whole)
            out = tensors_of(self.converted("c.safetensors", "d.safetensors"))
            self.assertEqual(out, {"c": ([], struct.pack("<f", data))})


class HostileFiles(Case):
    def test_nothing_is_run(self) -> None:
        ran = self.folder / "ran"

        class Evil:
            def __reduce__(self) -> tuple:
                return os.system, (f"touch {ran}",)

        for protocol in (2, 4):
            self.refuses_pickle(pickle.dumps(Evil(), protocol), "posix.system")
            self.refuses_pickle(pickle.dumps({"a": Evil()}, protocol), "posix.system")
        pickle.loads(pickle.dumps(Evil()))
        self.assertTrue(ran.exists())  # so the others would have run

    def test_nothing_but_a_state_dict_is_carried_out(self) -> None:
        self.refuses_pickle(b"\x80\x02ccollections\nOrderedDict\n(K\x01K\x02t\x81.", "NEWOBJ")
        self.refuses_pickle(b"\x80\x02ctorch\nload\nX\x01\x00\x00\x00a\x85R.", "torch.load")
        self.refuses_pickle(b"\x80\x02ctorch\nFloatStorage\n)R.", "call")
        self.refuses_pickle(b"\x80\x02}Q.", "storage")
        self.refuses_pickle(b"\x80\x02(((t.", "state_dict")
        self.refuses_pickle(b"\x80\x02K\x01K\x02s.")
        self.refuses_pickle(b"\x80\x02u.")
        self.refuses_pickle(b"\x80\x02h\x07.")

    def test_a_few_bytes_cannot_take_the_memory_or_the_hour(self) -> None:
        far_memo = b"\x80\x02}r\xff\xff\xff\x7f."
        self.refuses_pickle(far_memo, "state_dict")
        pairs = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(200))
        self.refuses_pickle(b"\x80\x02}K\x01" + pairs + b"K\x01s.", "key")
        self.refuses_pickle(b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b".", "state_dict")
        itself = b"\x80\x02]q\x00h\x00a."
        self.refuses_pickle(itself, "state_dict")

    def test_tensors_stay_within_their_storages(self) -> None:
        for view, says in (
            ((1, (2, 3), (3, 1)), "takes more than its storage"),
            ((0, (2, 3), (4, 1)), "takes more than its storage"),
            ((0, (1000, 1000), (0, 0)), "far larger"),
            ((0, (3, 3), (0, 1)), "clone()"),
            ((0, (2, -3), (3, 1)), "sizes"),
            ((0, (2, 3), (3,)), "sizes"),
            ((0, (2**62, 2**62), (1, 1)), "far larger"),
            ((-1, (2, 3), (3, 1)), "sizes"),
            ((0, (1,) * 1000, (1,) * 1000), "sizes"),
        ):
            with self.subTest(view=view):
                net = pickled({"a": tensor(view=view)})
                self.refuses(zip_file(net, {"data/0": bytes(24)}), says)
        whole = pickled({"a": tensor()})
        self.refuses(zip_file(whole, {"data/0": bytes(23)}), "'a'", "23 bytes", "24")
        self.refuses(zip_file(whole, {}), "'a'", "0 bytes")
        self.refuses(
            zip_file(pickled({"a": tensor(count=2**61)}), {"data/0": bytes(24)}), "cut short"
        )

    def test_zip_files_are_plain(self) -> None:
        net, data = pickled({"a": tensor()}), {"data/0": bytes(24)}
        self.refuses(zip_file(net, data, zipfile.ZIP_DEFLATED), "compressed")
        self.refuses(zip_file(net, {**data, "constants.pkl": pickled(())}), "TorchScript")
        self.refuses(zip_file(net, {**data, "byteorder": b"middle"}), "'middle'")
        self.refuses(zip_file(net, data).replace(b"net/data.pkl", b"net/data.pkx"), "data.pkl")
        with self.assertWarns(UserWarning):
            stream = io.BytesIO(zip_file(net, data))
            with zipfile.ZipFile(stream, "a") as archive:
                archive.writestr("net/data.pkl", pickled({}))
        self.refuses(stream.getvalue(), "two members")
        sizes = struct.pack("<II", 24, 24)  # the last are those in the directory
        before, after = zip_file(net, data).rsplit(sizes, 1)
        self.refuses(before + struct.pack("<II", 10**9, 10**9) + after, "larger than itself")
        damaged = zip_file(net, {"data/0": b"x" * 24}).replace(b"x" * 24, b"y" * 24)
        self.refuses(damaged, "CRC")


class OtherFiles(Case):
    def test_what_is_not_a_state_dict_is_named(self) -> None:
        self.refuses(b"", "not a file of PyTorch")
        self.refuses(b"PK\x03\x04 and no more", "zip")
        data = {"data/0": bytes(24)}
        for value, says in (
            ({"state": {}, "param_groups": []}, "optimizer"),
            ({"epoch": 1, "weights": {"a": 2}}, "'epoch', 'weights'"),
            ({"net": {"a": tensor()}, "model": {"a": tensor()}}, "'net': a; 'model': a"),
            ({"num_updates": 5, "shadow_params": [tensor()]}, "'shadow_params' is a list of tensors"),
            ({str(i): {"a": tensor()} for i in range(101)}, "more than 100 state_dicts"),
            ({"a": tensor(), "b": 1}, "'a', 'b'"),
            ([tensor()], "torch.save"),
            ({"a": tensor(kind="IntStorage")}, "'a' is of type int32"),
            ({"__metadata__": tensor()}, "__metadata__"),
        ):
            with self.subTest(says=says):
                self.refuses(zip_file(pickled(value), data), says)
        self.refuses(legacy_file(pickled({}), ["0"]), "storage '0'")
        net = (PTH / "toy.legacy.pth").read_bytes()
        bias = net.rindex(struct.pack("<q", 1))  # of the output, the only storage of one element
        other = net[:bias] + struct.pack("<q", 2) + net[bias + 8 :]
        self.refuses(other, "has 2 elements, not 1")
        large = struct.pack("<d", 1e300) * 6
        net = pickled({"a": tensor(kind="DoubleStorage")})
        self.refuses(zip_file(net, {"data/0": large}), "'a' has a value too large")

    def test_cut_and_changed_files_never_pass_for_whole(self) -> None:
        for kind in FORMATS:
            content = (PTH / f"toy.{kind}.pth").read_bytes()
            for length in range(0, len(content), 7):
                with self.subTest(kind=kind, length=length), self.assertRaises(MALFORMED):
                    read_pth(content[:length])
            for place in range(0, len(content), 5):
                changed = bytearray(content)
                changed[place] ^= 0xFF
                with contextlib.suppress(MALFORMED):  # a weight may have changed, or a remark
                    read_pth(bytes(changed))

    def test_damaged_safetensors_files_are_refused(self) -> None:
        content = (PTH / "toy.safetensors").read_bytes()
        entry = {"dtype": "F32", "shape": [1]}
        hole = json.dumps(
            {n: {**entry, "data_offsets": [i, i + 4]} for n, i in (("a", 0), ("b", 8))}
        )
        for damaged, says in (
            (struct.pack("<Q", len(hole)) + hole.encode() + bytes(12), "'b' does not begin"),
            (content[:-1], "offsets within the file"),
            (content + b"1", "its tensors take"),
            (content[:40], "cut short"),
            (content.replace(b'"F32"', b'"I32"', 1), "I32"),
            (content.replace(b'"f.0.bias"', b'"f.2.bias"', 1), "repeats"),
            (struct.pack("<Q", 2) + b"[]", "JSON object"),
            (struct.pack("<Q", 90000) + b"[" * 90000, "not JSON"),
        ):
            with self.subTest(says=says):
                (self.folder / "in.safetensors").write_bytes(damaged)
                done = self.convert("in.safetensors", "out.pth")
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertIn(says, done.stderr)
                self.assertNotIn("Traceback", done.stderr)


class CommandLine(Case):
    def test_errors_are_status_2(self) -> None:
        toy = PTH / "toy.zip.pth"
        for arguments, says in (
            ([toy], "OUT"),
            ([toy, "out.onnx"], ".safetensors"),
            ([toy, "out.safetensors", "--legacy"], "--legacy"),
            ([toy, "out.safetensors", "--channels", 3], "--network"),
            ([toy, "out.safetensors", "--network", "vanilla"], "--channels"),
            ([toy, "out.safetensors", "--network", "resnet"], "resnet"),
            ([toy, "out.safetensors", "--network", "toy", "--epsilon", "nan"], "nan"),
            ([PTH / "toy.safetensors", "out.pth", "--network", "toy"], "--network"),
        ):
            done = self.convert(*arguments)
            self.assertEqual(done.returncode, 2, says)
            self.assertIn(says, done.stderr)
            self.assertEqual(os.listdir(self.folder), [])
        missing = self.convert("none.pth", "out.safetensors")
        self.assertEqual(missing.returncode, 3)
        self.assertIn("none.pth", missing.stderr)

    def test_an_existing_file_is_replaced_only_by_force(self) -> None:
        out = self.folder / "out.safetensors"
        out.write_text("precious")
        kept = self.convert(PTH / "toy.zip.pth", out)
        self.assertEqual((kept.returncode, out.read_text()), (2, "precious"))
        self.assertIn("--force", kept.stderr)
        self.assertNotEqual(self.converted(PTH / "toy.zip.pth", out), b"precious")

    def test_a_full_disk_leaves_nothing(self) -> None:
        def little_room() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))

        done = self.convert(PTH / "toy.zip.pth", "out.safetensors", preexec_fn=little_room)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write out.safetensors", done.stderr)
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    unittest.main()
