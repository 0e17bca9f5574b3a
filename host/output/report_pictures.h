// The pictures of a report, inlined, no more of them than fit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ebm {

/// A picture that a run made after an iteration.
struct PictureInTime {
  std::int64_t iteration = 0;
  std::filesystem::path file;
};

/// PREFIX000100.png and so on of a folder, which may be missing, by iteration.
std::vector<PictureInTime> pictures_in_time(const std::filesystem::path& folder,
                                            std::string_view prefix);

/// How a picture is shown: a plot, whose letters can be read only so small, scrolls in its box on a
/// narrow page; a grid of images becomes as small as that.
enum class PictureKind { plot, grid };

/// What a picture shows, for those who see it and for those who do not. None is escaped yet.
struct PictureText {
  std::string caption;
  std::string seen;  ///< what is to be seen there
};

/// Makes the figures of one page. All pictures together have at most so many bytes of it.
class ReportPictures {
 public:
  ReportPictures(std::size_t most_in_time, std::size_t bytes)
      : most_in_time_(most_in_time), bytes_left_(bytes) {}

  /// A figure of a PNG file: "" where there is none, and a sentence where it does not fit. Throws
  /// InputFileError for another kind of file.
  std::string figure(const std::filesystem::path& png, PictureKind kind, const PictureText& text);

  /// At most `most_in_time` of what was made in time: the last, the first, and evenly between.
  template <typename Made>
  std::vector<Made> choose(const std::vector<Made>& all) const {
    if (all.size() <= most_in_time_) return all;
    if (most_in_time_ == 1) return {all.back()};
    std::vector<Made> chosen;
    for (std::size_t i = 0; i < most_in_time_; ++i) {
      chosen.push_back(all[(i * (all.size() - 1)) / (most_in_time_ - 1)]);
    }
    return chosen;
  }

  /// True when no figure had to be left out.
  bool all_fit() const { return all_fit_; }

 private:
  std::size_t most_in_time_;
  std::size_t bytes_left_;
  bool all_fit_ = true;
};

}  // namespace ebm
