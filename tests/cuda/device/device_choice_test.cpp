// Which device is chosen, and what is said where it cannot be had.

#include "cuda/device/device_choice.h"

#include <gtest/gtest.h>

#include <string>

#include "cuda/device/cuda_survey.h"

namespace ebm {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;
constexpr std::size_t kGiB = 1024 * kMiB;

CudaSurvey two_devices(const std::string& first_unusable, const std::string& second_unusable) {
  return {.unusable = {},
          .devices = {
              {.index = 0, .name = "Old", .major = 7, .minor = 5, .unusable = first_unusable},
              {.index = 1, .name = "New", .major = 9, .minor = 0, .unusable = second_unusable}}};
}

CudaSurvey no_devices() { return {.unusable = "nothing here", .devices = {}}; }

/// What the refusal of a request says; empty when it is not refused.
std::string refusal(const std::string& request, const CudaSurvey& survey) {
  try {
    choose_device(request, survey);
  } catch (const DeviceUnavailable& error) {
    return error.what();
  }
  return "";
}

TEST(WhyNoCuda, NamesTheCause) {
  const auto says = [](const CudaAnswer& answer, const std::string& what) {
    return why_no_cuda(answer).find(what) != std::string::npos;
  };
  EXPECT_TRUE(says({.runtime_version = 13000, .error = "any"}, "no NVIDIA driver"));
  EXPECT_TRUE(says({.driver_version = 12040, .runtime_version = 13000, .error = "any"},
                   "supports CUDA 12.4, this program was built with CUDA 13.0"));
  EXPECT_TRUE(says({.driver_version = 13000, .runtime_version = 13000, .error = "system not ready"},
                   "system not ready"));
  EXPECT_TRUE(says({.driver_version = 13000, .runtime_version = 13000}, "no GPU"));
  // Minor versions of one major version go together, whichever is newer.
  EXPECT_EQ(why_no_cuda({.driver_version = 13000, .runtime_version = 13010, .devices = 1}), "");
}

TEST(ChooseDevice, CpuNeedsNothing) {
  EXPECT_FALSE(choose_device("cpu", no_devices()).on_cuda);
  EXPECT_FALSE(choose_device("cpu", two_devices("", "")).on_cuda);
}

TEST(ChooseDevice, AutoTakesTheFirstUsableDeviceOrTheCpuWithAReason) {
  EXPECT_EQ(choose_device("auto", two_devices("", "")).index, 0);
  const DeviceChoice second = choose_device("auto", two_devices("too old", ""));
  EXPECT_TRUE(second.on_cuda);
  EXPECT_EQ(second.index, 1);
  const DeviceChoice none = choose_device("auto", two_devices("too old", "broken"));
  EXPECT_FALSE(none.on_cuda);
  EXPECT_EQ(none.reason,
            "cuda:0 (Old, compute capability 7.5): too old; "
            "cuda:1 (New, compute capability 9.0): broken");
  EXPECT_EQ(choose_device("auto", no_devices()).reason, "nothing here");
}

TEST(ChooseDevice, CudaIsMetOrRefusedWithTheReasonAndARemedy) {
  EXPECT_EQ(choose_device("cuda", two_devices("too old", "")).index, 1);
  EXPECT_EQ(refusal("cuda", no_devices()), "device cuda: nothing here; use --device cpu or auto");
  EXPECT_NE(refusal("cuda", two_devices("too old", "broken")).find("broken"), std::string::npos);
}

TEST(ChooseDevice, ANumberedDeviceIsThatOne) {
  EXPECT_EQ(choose_device("cuda:1", two_devices("", "")).index, 1);
  EXPECT_NE(refusal("cuda:0", two_devices("too old", "")).find("too old"), std::string::npos);
  EXPECT_NE(refusal("cuda:2", two_devices("", "")).find("cuda:0 to cuda:1"), std::string::npos);
  EXPECT_NE(refusal("cuda:0", no_devices()).find("nothing here"), std::string::npos);
}

TEST(Memory, IsSaidInBinaryUnitsRoundedUp) {
  EXPECT_EQ(memory_size(0), "0.0 MiB");
  EXPECT_EQ(memory_size(1), "0.1 MiB");
  EXPECT_EQ(memory_size(512 * kMiB), "512.0 MiB");
  EXPECT_EQ(memory_size(2 * kGiB), "2.0 GiB");
  EXPECT_EQ(memory_size(2 * kGiB + 1), "2.1 GiB");
}

TEST(Memory, NeedAndWhatIsFreeAreNamed) {
  require_memory("cuda:0", 2 * kGiB, 2 * kGiB, "less");
  try {
    require_memory("cuda:0", 3 * kGiB + 100 * kMiB, 2 * kGiB, "less");
    FAIL() << "2 GiB are not enough";
  } catch (const DeviceUnavailable& error) {
    EXPECT_STREQ(error.what(),
                 "device cuda:0: this configuration needs 3.1 GiB of memory, and there are 2.0 "
                 "GiB; use less");
  }
}

TEST(Survey, HasDevicesOrSaysWhyNot) {
  const CudaSurvey survey = enumerate_devices();
  EXPECT_EQ(survey.devices.empty(), !survey.unusable.empty());
  EXPECT_EQ(choose_device("auto", survey).on_cuda, refusal("cuda", survey).empty());
}

}  // namespace
}  // namespace ebm
