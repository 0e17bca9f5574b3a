// Which layers become one operation on either device, where operations' arrays are, and which
// convolutions a library is asked for.

#include "cuda/nn/lowering.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cuda/nn/gpu/convolution_pattern.h"
#include "cuda/nn/layers/head.h"
#include "tests/support/other_networks.h"

namespace ebm {
namespace {

using Lines = std::vector<std::string>;

constexpr std::array kExecutors = {Executor::cpu, Executor::gpu};

/// Each operation in a line: its name, its shapes and what it does besides.
Lines described(const Network& network, Executor executor) {
  Lines lines;
  for (const Operation& operation : lower(network, executor).operations) {
    std::string line = fmt::format("{} {} -> {}", operation.type->name, to_string(operation.in),
                                   to_string(operation.out));
    const auto say = [&line](bool flag, const char* what) {
      if (flag) {
        line += std::string(", ") + what;
      }
    };
    say(operation.flattens, "flattens");
    say(operation.leaky_relu, "leaky_relu");
    say(operation.own_derivative, "own_derivative");
    say(operation.input_is_leaky, "input_is_leaky");
    lines.push_back(line);
  }
  return lines;
}

TEST(Lowering, ConvolutionsComputeTheLeakyReluBehindThem) {
  const Network vanilla = published_network("vanilla", 3, 32);
  EXPECT_EQ(described(vanilla, Executor::gpu),
            (Lines{"image_convolution 3x32x32 -> 32x32x32, leaky_relu, own_derivative",
                   "convolution 32x32x32 -> 64x16x16, leaky_relu",
                   "convolution 64x16x16 -> 128x8x8, leaky_relu, input_is_leaky",
                   "convolution 128x8x8 -> 256x4x4, leaky_relu, input_is_leaky",
                   "head 256x4x4 -> 1x1x1, input_is_leaky"}));
  EXPECT_EQ(described(vanilla, Executor::cpu),
            (Lines{"image_convolution 3x32x32 -> 32x32x32, leaky_relu, own_derivative",
                   "convolution 32x32x32 -> 64x16x16, leaky_relu, own_derivative",
                   "convolution 64x16x16 -> 128x8x8, leaky_relu, own_derivative",
                   "convolution 128x8x8 -> 256x4x4, leaky_relu, own_derivative",
                   "head 256x4x4 -> 1x1x1"}));
  EXPECT_EQ(described(published_network("toy", 2, 4), Executor::gpu),
            (Lines{"image_convolution 2x1x1 -> 4x1x1, leaky_relu, own_derivative",
                   "convolution 4x1x1 -> 8x1x1, leaky_relu",
                   "convolution 8x1x1 -> 8x1x1, leaky_relu, input_is_leaky",
                   "convolution 8x1x1 -> 8x1x1, leaky_relu, input_is_leaky",
                   "head 8x1x1 -> 1x1x1, input_is_leaky"}));
}

TEST(Lowering, PoolsComputeTheLeakyReluBeforeThemAndLinearLayersAFlatten) {
  const Network nonlocal = published_network("nonlocal", 1, 32);
  Lines lines{"image_convolution 1x32x32 -> 32x32x32",
              "max_pool 32x32x32 -> 32x16x16, leaky_relu",
              "nonlocal 32x16x16 -> 32x16x16",
              "convolution 32x16x16 -> 64x16x16",
              "max_pool 64x16x16 -> 64x8x8, leaky_relu",
              "nonlocal 64x8x8 -> 64x8x8",
              "convolution 64x8x8 -> 128x8x8",
              "max_pool 128x8x8 -> 128x4x4, leaky_relu",
              "convolution 128x4x4 -> 256x1x1, flattens, leaky_relu",
              "head 256x1x1 -> 1x1x1, input_is_leaky"};
  EXPECT_EQ(described(nonlocal, Executor::gpu), lines);
  lines.resize(8);
  lines.insert(lines.end(), {"flatten 128x4x4 -> 2048x1x1",
                             "convolution 2048x1x1 -> 256x1x1, leaky_relu, own_derivative",
                             "head 256x1x1 -> 1x1x1"});
  EXPECT_EQ(described(nonlocal, Executor::cpu), lines);
}

TEST(Lowering, AFlattenThatIsNotBeforeALinearLayerStays) {
  const Network wide("listed", {1, 4, 4},
                     {conv("a", 2, 3, 1, 1), leaky_relu(), flatten(), conv("b", 3, 3, 1, 1),
                      leaky_relu(), linear("c", 1)});
  EXPECT_EQ(described(wide, Executor::gpu),
            (Lines{"image_convolution 1x4x4 -> 2x4x4, leaky_relu, own_derivative",
                   "flatten 2x4x4 -> 32x1x1", "convolution 32x1x1 -> 3x1x1, leaky_relu",
                   "head 3x1x1 -> 1x1x1, input_is_leaky"}));
  // A head takes the image as it is, too; a flatten of one pixel is nothing.
  const Network head("listed", {2, 4, 4},
                     {conv("a", 3, 3), silu(), flatten(), flatten(), linear("b", 1), flatten()});
  EXPECT_EQ(described(head, Executor::gpu),
            (Lines{"image_convolution 2x4x4 -> 3x2x2", "silu 3x2x2 -> 3x2x2",
                   "head 3x2x2 -> 1x1x1, flattens"}));
  EXPECT_EQ(described(head, Executor::cpu),
            (Lines{"image_convolution 2x4x4 -> 3x2x2", "silu 3x2x2 -> 3x2x2",
                   "flatten 3x2x2 -> 12x1x1", "head 12x1x1 -> 1x1x1"}));
}

TEST(Lowering, ALeakyReluBesideNoConvolutionStandsAlone) {
  // The states have too many channels for the first convolution's kernels, and f is a pool's
  // output.
  const Network network(
      "listed", {6, 2, 2},
      {leaky_relu(), nonlocal("a"), leaky_relu(), leaky_relu(), conv("b", 1, 1), max_pool()});
  for (const Executor executor : kExecutors) {
    EXPECT_EQ(
        described(network, executor),
        (Lines{"states 6x2x2 -> 6x2x2", "leaky_relu 6x2x2 -> 6x2x2", "nonlocal 6x2x2 -> 6x2x2",
               "leaky_relu 6x2x2 -> 6x2x2", "leaky_relu 6x2x2 -> 6x2x2",
               "convolution 6x2x2 -> 1x2x2", "max_pool 1x2x2 -> 1x1x1", "head 1x1x1 -> 1x1x1"}));
  }
}

TEST(Lowering, WhatIsNotAConvolutionLeavesItsInputsDerivativeToTheConvolution) {
  for (const Layer& behind : {silu(), avg_pool(2), nonlocal("b"), residual({silu()})}) {
    const Network network(
        "listed", {1, 4, 4},
        {silu(), conv("a", 2, 3, 1, 1), leaky_relu(), behind, flatten(), linear("c", 1)});
    EXPECT_EQ(described(network, Executor::gpu)[2],
              "convolution 1x4x4 -> 2x4x4, leaky_relu, own_derivative")
        << behind.type->name;
  }
}

TEST(Lowering, ResidualsAreBetweenAForkAndAJoin) {
  // The sum's gradient is that of both terms: the LeakyReLU before it may not change it in place.
  const Network network(
      "listed", {1, 4, 4},
      {conv("a", 4, 3, 1, 1), leaky_relu(),
       residual({conv("b", 6, 3, 1, 1), leaky_relu(), conv("c", 4, 3, 1, 1), leaky_relu()}),
       residual({residual({silu()}), conv("d", 4, 1), leaky_relu(), conv("e", 4, 1)}),
       conv("f", 1, 4)});
  EXPECT_EQ(
      described(network, Executor::gpu),
      (Lines{"image_convolution 1x4x4 -> 4x4x4, leaky_relu, own_derivative", "fork 4x4x4 -> 4x4x4",
             "convolution 4x4x4 -> 6x4x4, leaky_relu", "convolution 6x4x4 -> 4x4x4, input_is_leaky",
             "leaky_relu 4x4x4 -> 4x4x4", "join 4x4x4 -> 4x4x4", "fork 4x4x4 -> 4x4x4",
             "fork 4x4x4 -> 4x4x4", "silu 4x4x4 -> 4x4x4", "join 4x4x4 -> 4x4x4",
             "convolution 4x4x4 -> 4x4x4, leaky_relu", "convolution 4x4x4 -> 4x4x4, input_is_leaky",
             "join 4x4x4 -> 4x4x4", "head 4x4x4 -> 1x1x1"}));
}

std::vector<Network> published_networks() {
  return {published_network("toy", 2, 32), published_network("vanilla", 3, 32),
          published_network("nonlocal", 1, 32)};
}

std::vector<Network> all_networks() {
  std::vector<Network> networks = published_networks();
  for (const std::vector<Network>& more : {other_networks(), drawn_networks(300)}) {
    networks.insert(networks.end(), more.begin(), more.end());
  }
  return networks;
}

/// Calls visit(network, lowered) for every network and executor.
template <class Visit>
void for_each_lowered(const Visit& visit) {
  for (const Network& network : all_networks()) {
    for (const Executor executor : kExecutors) {
      SCOPED_TRACE(fmt::format("{} on the {}:\n  {}", network.name(),
                               executor == Executor::cpu ? "CPU" : "GPU",
                               fmt::join(described(network, executor), "\n  ")));
      visit(lower(network, executor));
      if (testing::Test::HasFailure()) {
        return;
      }
    }
  }
}

/// For each fork its join and for each join its fork, by their places; −1 for the others.
std::vector<int> partners_of(const std::vector<Operation>& operations) {
  std::vector<int> partners(operations.size(), -1);
  std::vector<int> open;
  for (int i = 0; i < std::ssize(operations); ++i) {
    if (operations[static_cast<std::size_t>(i)].type == &kFork) {
      open.push_back(i);
    } else if (operations[static_cast<std::size_t>(i)].type == &kJoin) {
      partners[static_cast<std::size_t>(i)] = open.back();
      partners[static_cast<std::size_t>(open.back())] = i;
      open.pop_back();
    }
  }
  return partners;
}

TEST(LoweredMemory, EveryValueIsWhereItsReadersLook) {
  for_each_lowered([](const LoweredNetwork& network) {
    const std::vector<int> partners = partners_of(network.operations);
    std::set<int> written;
    for (std::size_t i = 0; i < network.operations.size(); ++i) {
      const Operation& operation = network.operations[i];
      const Operands& memory = operation.memory;
      EXPECT_EQ(memory.x, i == 0 ? -1 : network.operations[i - 1].memory.y) << i;
      EXPECT_EQ(memory.y == -1, operation.type == &kHead) << i;
      if (operation.type == &kFork) {
        EXPECT_EQ(memory.y, memory.x) << i;
      } else if (memory.y >= 0) {
        EXPECT_TRUE(written.insert(memory.y).second) << i << ": all are kept";
        EXPECT_EQ(network.values.at(static_cast<std::size_t>(memory.y)), operation.out.size());
      }
      if (operation.type == &kJoin) {
        EXPECT_EQ(memory.skip, network.operations[static_cast<std::size_t>(partners[i])].memory.x);
      }
    }
    EXPECT_EQ(written.size(), network.values.size());
  });
}

TEST(LoweredMemory, NoGradientIsOverwrittenBeforeItIsRead) {
  for_each_lowered([](const LoweredNetwork& network) {
    const std::vector<Operation>& operations = network.operations;
    const std::vector<int> partners = partners_of(operations);
    // For each array, the operations with respect to whose outputs it has the gradient.
    std::map<int, std::set<int>> held;
    const auto room = [&](int array) {
      return network.gradients.at(static_cast<std::size_t>(array));
    };
    for (int i = static_cast<int>(operations.size()); i-- > 0;) {
      const Operation& operation = operations[static_cast<std::size_t>(i)];
      const Operands& memory = operation.memory;
      if (operation.type == &kHead) {
        EXPECT_EQ(memory.dy, -1);
      } else {
        EXPECT_TRUE(held[memory.dy].contains(i)) << i << ": dy";
        EXPECT_GE(room(memory.dy), operation.out.size()) << i;
      }
      EXPECT_EQ(memory.dx == -1, i == 0) << i;
      if (operation.type == &kJoin) {  // computes nothing
        EXPECT_EQ(memory.dx, memory.dy) << i;
        held[memory.dx].insert(i - 1);
        continue;
      }
      if (operation.type == &kFork) {
        const int join = partners[static_cast<std::size_t>(i)];
        EXPECT_TRUE(held[memory.skip_dy].contains(join)) << i << ": skip_dy";
      } else {
        EXPECT_NE(memory.dx, memory.dy) << i << ": its weight gradient needs dy as well";
      }
      if (operation.own_derivative) {  // taken in place
        held[memory.dy].clear();
      }
      if (memory.dx >= 0) {
        EXPECT_GE(room(memory.dx), operation.in.size()) << i;
        held[memory.dx] = {i - 1};
      }
    }
  });
}

TEST(LoweredMemory, EveryLeakyReluInAConvolutionHasOneDerivative) {
  for_each_lowered([](const LoweredNetwork& network) {
    const std::vector<Operation>& operations = network.operations;
    EXPECT_FALSE(operations.front().input_is_leaky);
    for (std::size_t i = 0; i + 1 < operations.size(); ++i) {
      const bool in_convolution = operations[i].leaky_relu && operations[i].type != &kMaxPool;
      EXPECT_EQ(in_convolution, operations[i].own_derivative != operations[i + 1].input_is_leaky)
          << i;
    }
  });
}

TEST(LoweredMemory, PublishedNetworksTakeTurnsWithTwoGradientArrays) {
  for (const Network& network : published_networks()) {
    for (const Executor executor : kExecutors) {
      const LoweredNetwork lowered = lower(network, executor);
      std::vector<std::int64_t> largest(2);
      int turn = 0;
      for (auto operation = lowered.operations.rbegin(); operation + 1 != lowered.operations.rend();
           ++operation) {
        EXPECT_EQ(operation->memory.dx, turn) << network.name();
        std::int64_t& size = largest[static_cast<std::size_t>(turn)];
        size = std::max(size, operation->in.size());
        turn = 1 - turn;
      }
      EXPECT_EQ(lowered.gradients, largest) << network.name();
    }
  }
}

TEST(LibraryConvolutions, EachIsNamedOnce) {
  const auto patterns =
      library_convolutions(published_network("nonlocal", 1, 32), 7, Precision::bf16);
  struct Sizes {
    int in, side, out, kernel;
    bool leaky_relu, input_is_leaky;
  };
  const Sizes expected[] = {
      {32, 16, 48, 1, false, false},  {16, 16, 32, 1, false, false}, {32, 16, 64, 3, false, false},
      {64, 8, 96, 1, false, false},   {32, 8, 64, 1, false, false},  {64, 8, 128, 3, false, false},
      {2048, 1, 256, 1, true, false},
  };
  ASSERT_EQ(patterns.size(), std::size(expected));
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    const auto& [in, side, out, kernel, leaky_relu, input_is_leaky] = expected[i];
    EXPECT_EQ(patterns[i], (ConvolutionPattern{.shape = {.images = 7,
                                                         .in_channels = in,
                                                         .height = side,
                                                         .width = side,
                                                         .out_channels = out,
                                                         .kernel = kernel,
                                                         .padding = kernel / 2},
                                               .precision = Precision::bf16,
                                               .leaky_relu = leaky_relu,
                                               .input_is_leaky = input_is_leaky}))
        << i;
  }
  // Twice the same layer is asked for once; the first convolution and the head never are.
  EXPECT_EQ(library_convolutions(Network("listed", {1, 4, 4},
                                         {conv("a", 8, 3, 1, 1), leaky_relu(), nonlocal("b"),
                                          residual({nonlocal("c")}), flatten(), linear("d", 1)}),
                                 7, Precision::fp32)
                .size(),
            2U);
  EXPECT_TRUE(library_convolutions(published_network("toy", 2, 32), 7, Precision::fp32).empty());
}

}  // namespace
}  // namespace ebm
