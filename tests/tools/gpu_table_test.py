"""The tables of a GPU's figures: tools/benchmark/gpu_table.py, by figures that are made up."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[2] / "tools/benchmark"
sys.path.insert(0, str(BENCHMARK))

from kernel_names import short_name  # noqa: E402


def step(network, precision, seconds, batch=100, **members):
    return {"figure": "step", "network": network, "precision": precision, "batch": batch,
            "operations": 1e9, "seconds": seconds, **members}


def kernel(name, mean_us, launches=2):
    return {"network": "vanilla", "precision": "tf32", "batch": 100, "steps": 2, "kernel": name,
            "grid": "(8, 1, 1)", "block": "(256, 1, 1)", "launches": launches, "mean_us": mean_us}


def table(**figures):
    figures["ebm"] = [{"figure": "device", "name": "a card"}, *figures.get("ebm", [])]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"figures": figures}, file)
        file.flush()
        return subprocess.run([sys.executable, "-B", BENCHMARK / "gpu_table.py", file.name],
                              check=True, capture_output=True, text=True).stdout


def cells(text, first):
    """{head: cell} of the row that begins so."""
    heads = []
    for line in text.splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and not heads:
            heads = row
        if line.startswith("|") and row[0] == first:
            return dict(zip(heads, row))
        if not line.startswith("|"):
            heads = []
    raise AssertionError(f"no row {first} in {text}")


class Experiments(unittest.TestCase):
    def test_a_measured_iteration_counts_with_the_long_runs(self):
        row = cells(table(ebm=[
            step("vanilla", "tf32", 1e-3),
            {"figure": "iteration", "experiment": "cifar10_nonconvergent", "precision": "tf32",
             "seconds": 0.2, "seconds_of_steps": 0.15}]), "`cifar10_nonconvergent`")
        # 100,000 iterations; 10 long runs of 100,000 steps of 1 ms
        self.assertEqual(row["ebm, tf32"], "5.8 h")
        self.assertEqual(row["iterations × steps"], "100,000 × 150")
        self.assertNotIn("ebm, bf16", row)

    def test_one_like_it_takes_as_long(self):
        text = table(ebm=[
            step("vanilla", "tf32", 1e-3),
            {"figure": "iteration", "experiment": "cifar10_nonconvergent", "precision": "tf32",
             "seconds": 0.2, "seconds_of_steps": 0.15}])
        self.assertEqual(cells(text, "`flowers_nonconvergent`")["ebm, tf32"], "5.8 h")
        # Persistent chains of 500 steps are not like it: steps alone, 15.3 h.
        self.assertEqual(cells(text, "`cifar10_oscillate`")["ebm, tf32"], "14 h")
        self.assertEqual(cells(text, "`mnist_convergent`")["ebm, tf32"], "–")

    def test_what_is_outside_the_steps_is_added_at_other_precisions(self):
        row = cells(table(ebm=[
            step("vanilla", "tf32", 1e-3), step("vanilla", "bf16", 1e-4),
            {"figure": "iteration", "experiment": "cifar10_nonconvergent", "precision": "tf32",
             "seconds": 0.2, "seconds_of_steps": 0.15}]), "`cifar10_nonconvergent`")
        # 100,000 × (15 ms + 50 ms) + 10 × 100,000 × 0.1 ms
        self.assertEqual(row["ebm, bf16"], "110 min")

    def test_landscapes_take_the_largest_batch(self):
        row = cells(table(ebm=[step("toy", "tf32", 1e-5), step("toy", "tf32", 2e-5, batch=1000)]),
                    "`gmm_convergent`")
        # 200,000 × 500 × 10 µs, and 200 landscapes of 10,000 chains: 10 × 500 × 20 µs each
        self.assertEqual(row["ebm, fp32"], "17 min")

    def test_pytorch_stands_beside_it(self):
        row = cells(table(ebm=[step("nonlocal", "tf32", 1e-4)], pytorch=[
            step("nonlocal", "tf32", 1e-2, mode="eager"),
            step("nonlocal", "tf32", 2e-3, mode="compiled"),
            step("nonlocal", "tf32", 1e-3, mode="compiled, reduce-overhead"),
        ]), "`flowers_convergent`")
        # 200,000 × 500 steps and 20 long runs of 100,000: 102,000,000 steps
        self.assertEqual([row[head] for head in
                          ("ebm, tf32", "PyTorch eager, tf32", "compiled, tf32")],
                         ["2.8 h", "12 days", "28 h"])


class Kernels(unittest.TestCase):
    def test_by_time_a_step_with_shares(self):
        text = table(ebm=[step("vanilla", "tf32", 2e-5)],
                     kernels=[kernel("void ebm::long_one(int)", 9),
                              kernel("often(int)", 5, launches=4), kernel("rare()", 2, launches=1)])
        self.assertIn("Kernels of a step of vanilla, tf32, batch 100: 20 µs in all; "
                      "the step takes 20 µs.", text)
        rows = [line for line in text.splitlines() if "(8, 1, 1)" in line]
        self.assertEqual(rows, ["| often | (8, 1, 1) | 2 | 5.0 | 10.0 | 50.0% |",
                                "| long_one | (8, 1, 1) | 1 | 9.0 | 9.0 | 45.0% |",
                                "| rare | (8, 1, 1) | 0.5 | 2.0 | 1.0 | 5.0% |"])

    def test_short_names(self):
        for name, short in {
            "void ebm::<unnamed>::image_gradient_kernel<3, float, float>("
            "ebm::<unnamed>::ImageGradientArguments<T2, T3>)": "image_gradient<3, float, float>",
            "void ebm::for_each_index_kernel<ebm::<unnamed>::AddBody<float, 4>>(long, T1)":
                "for_each_index<AddBody<float, 4>>",
            "sm90_xmma_dgrad_implicit_gemm_indexed_f32f32_tf32f32_f32_nhwckrsc_nhwc_"
            "tilesize256x64x32_warpgroupsize1x1x1_g1_strided_execute_kernel__5x_cudnn":
                "cuDNN dgrad sm90 tf32 256x64x32",
            "cudnn_generated_fort_native_sm90_convFwd_pointwise_pointwise_knob_47_128x64x32_8_0":
                "cuDNN convFwd pointwise pointwise sm90 128x64x32",
            "void cutlass::Kernel2<cutlass_80_tensorop_s1688gemm_64x128_32x3_nn_align4>"
            "(T1::Params)": "cutlass sm80 s1688gemm 64x128 32x3 nn",
            "void cublasLt::splitKreduce_kernel<32, 16, int, float, float, float, float, 0, float>"
            "(cublasLt::cublasSplitKParams<T6>, void (*)(int))": "cublasLt::splitKreduce<…>",
            "an_unknown_kernel": "an_unknown",
            "x" * 70: "x" * 59 + "…",
        }.items():
            self.assertEqual(short_name(name), short)


if __name__ == "__main__":
    unittest.main()
