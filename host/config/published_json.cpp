#include "host/config/published_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "cuda/base/errors.h"
#include "host/config/config.h"
#include "host/config/yaml_reader.h"

namespace ebm {
namespace {

constexpr std::string_view kComment = "_comment";

// The words of the published files where ours are others.
enum class PublishedData { flowers, mnist, cifar10 };
enum class PublishedStart { flowers, mnist, cifar10, gaussian, uniform };

std::span<const std::string_view> names(PublishedData /*type*/) {
  static constexpr std::array<std::string_view, 3> kNames{"flowers", "mnist", "cifar10"};
  return kNames;
}

std::span<const std::string_view> names(PublishedStart /*type*/) {
  static constexpr std::array<std::string_view, 5> kNames{"flowers", "mnist", "cifar10", "gaussian",
                                                          "uniform"};
  return kNames;
}

DataKind data_kind(PublishedData data) {
  switch (data) {
    case PublishedData::flowers:
      return DataKind::flowers102;
    case PublishedData::mnist:
      return DataKind::mnist;
    case PublishedData::cifar10:
      break;
  }
  return DataKind::cifar10;
}

// JSON is YAML too, but YAML is more: without this a file that has lost a quote or a bracket might
// be read as something else.
void require_json(const std::string& text, const std::string& file) {
  try {
    [[maybe_unused]] const auto value = nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(
                                        text.size(), std::max<std::size_t>(error.byte, 1) - 1));
    std::string_view what = error.what();
    what.remove_prefix(what.find(": ") + 2);
    throw ConfigurationError(fmt::format("{}:{}: not valid JSON: {:.200}", file,
                                         1 + std::count(text.begin(), end, '\n'), what));
  } catch (const nlohmann::json::out_of_range&) {  // NOLINT(bugprone-empty-catch)
    // A number that no double can hold is JSON. Which key has it, whoever reads the key says.
  }
}

class Conversion {
 public:
  Conversion(const YamlValue& flat, const std::filesystem::path& file, ConfigErrors& errors)
      : flat_(flat),
        errors_(errors),
        keys_(flat, errors),
        tree_{.kind = YamlValue::Kind::map, .place = file.string()} {
    put({.kind = YamlValue::Kind::scalar, .text = file.stem().string(), .quoted = true}, "name");
  }

  YamlValue training_on_images() {
    if (const auto published = read<PublishedData>("data")) {
      data(*published, "data");
    } else {
      spoil_data();
    }
    training();
    move("im_sz", {"data.image_size"});
    move("im_ch", {"data.channels"});
    move("data_epsilon", {"data.noise"});
    move("num_shortrun_steps", {"langevin.steps"});
    move("shortrun_init", {"langevin.init"});
    move("log_freq", {"log.every", "checkpoint.every"});
    if (read<bool>("log_longrun").value_or(false)) {
      move("log_longrun_freq", {"longrun.every"});
      move("num_longrun_steps", {"longrun.steps"});
      move("longrun_init", {"longrun.init"});
    } else {
      if (flat_.find("log_longrun") != nullptr) {
        put(word("0", "log_longrun"), "longrun.every");
      }
      for (const char* unused : {"log_longrun_freq", "num_longrun_steps", "longrun_init"}) {
        keys_.find(unused);
      }
    }
    return finish();
  }

  YamlValue training_on_toy_data() {
    move("toy_type", {"data.kind"});
    training();
    move("toy_groups", {"data.groups"});
    move("toy_sd", {"data.sd"});
    move("toy_radius", {"data.radius"});
    move("viz_res", {"landscape.resolution"});
    move("kde_bw", {"landscape.kde.bandwidth"});
    move("num_mcmc_steps", {"langevin.steps"});
    move("init_type", {"langevin.init"});
    move_if_it_applies("s_t_0_size", "langevin.bank_size");
    move_if_it_applies("noise_init_factor", "langevin.noise_init_factor");
    move("log_info_freq", {"log.every", "checkpoint.every"});
    move("log_viz_freq", {"landscape.every"});
    move("batch_size_kde", {"landscape.kde.chains"});
    return finish();
  }

  YamlValue sampling() {
    move("seed", {"seed"});
    move("batch_size", {"sample.chains"});
    move("net_type", {"network.kind"});
    move("im_ch", {"network.channels"});
    move("net_weight_path", {"sample.checkpoint"});
    move("train_epsilon", {"sample.train_epsilon"});
    move("temp_factor", {"sample.temperature_factor"});
    move("epsilon", {"sample.epsilon"});
    move("num_mcmc_steps", {"sample.steps"});
    move("use_mh_langevin", {"sample.mala"});
    move("log_freq", {"log.every"});
    // Both networks of the published sampling code take 32, and ours of these names no other.
    if (const auto size = read<int>("im_sz"); size && *size != 32) {
      refuse_key(flat_, "im_sz", fmt::format("the published networks need 32, not {}", *size),
                 errors_);
      errors_.spoil("data.image_size");
    }
    const auto start = read<PublishedStart>("mcmc_init");
    if (!start) {
      errors_.spoil("start");
      spoil_data();
    } else if (*start == PublishedStart::uniform || *start == PublishedStart::gaussian) {
      move("mcmc_init", {"start"});
    } else {
      put(word("data", "mcmc_init"), "start");
      data(static_cast<PublishedData>(*start), "mcmc_init");
      move("im_sz", {"data.image_size"});
      move("im_ch", {"data.channels"});
    }
    return finish();
  }

 private:
  /// What both kinds of training have.
  void training() {
    move("num_train_iters", {"train.iterations"});
    move("batch_size", {"train.batch_size"});
    move("seed", {"seed"});
    move("net_type", {"network.kind"});
    move("optimizer_type", {"optimizer.kind"});
    move("lr_init", {"optimizer.lr"});
    move("lr_min", {"optimizer.lr_min"});
    move("lr_decay", {"optimizer.lr_decay"});
    move("epsilon", {"langevin.epsilon"});
  }

  void data(PublishedData published, const char* key) {
    const std::string kind(to_string(data_kind(published)));
    put(word(kind, key), "data.kind");
    put(word("data/" + kind, key), "data.path");
  }

  /// What is learned, or where chains start, is not known.
  void spoil_data() {
    errors_.spoil("data");
    errors_.set_uncertain();
  }

  /// Nothing where the key is missing or its value refused.
  template <class T>
  std::optional<T> read(const char* key) {
    T value{};
    keys_.required(key, value);
    return errors_.is_spoilt(key) ? std::nullopt : std::optional(value);
  }

  /// A value of our own, made of what `key` says.
  YamlValue word(const std::string& text, std::string_view key) const {
    const YamlValue& said = *flat_.find(key);
    return {.kind = YamlValue::Kind::scalar,
            .place = said.place,
            .position = said.position,
            .key = std::string(key),
            .text = text};
  }

  void move(const char* key, std::initializer_list<std::string_view> targets) {
    const YamlValue* value = keys_.find_required(key);
    for (const std::string_view target : targets) {
      if (value != nullptr) {
        put(*value, target);
      } else {
        errors_.spoil(std::string(target));
      }
    }
  }

  void move_if_it_applies(const char* key, std::string_view target) {
    if (const YamlValue* found = keys_.find(key)) {
      YamlValue value = *found;
      value.only_if_it_applies = true;
      put(std::move(value), target);
    }
  }

  /// Adds the value at the dotted key, with the sections on its way.
  void put(YamlValue value, std::string_view dotted_key) {
    YamlValue* section = &tree_;
    for (auto dot = dotted_key.find('.'); dot != std::string_view::npos;
         dot = dotted_key.find('.')) {
      const std::string name(dotted_key.substr(0, dot));
      YamlValue* child = section->find(name);
      section = child != nullptr
                    ? child
                    : &section->children.emplace_back(YamlValue{
                          .kind = YamlValue::Kind::map, .place = tree_.place, .key = name});
      dotted_key.remove_prefix(dot + 1);
    }
    value.written_key = std::exchange(value.key, std::string(dotted_key));
    section->children.push_back(std::move(value));
  }

  YamlValue finish() {
    keys_.finish();
    return std::move(tree_);
  }

  const YamlValue& flat_;
  ConfigErrors& errors_;
  YamlReader keys_;
  YamlValue tree_;
};

}  // namespace

bool is_published_json(const std::filesystem::path& file) { return file.extension() == ".json"; }

YamlValue parse_published_json(const std::string& text, const std::filesystem::path& file,
                               PublishedUse use, ConfigErrors& errors) {
  require_json(text, file.string());
  YamlValue flat = parse_yaml(text, {.name = file.string(), .repeatable = kComment}, errors);
  flat.place = file.string();
  flat.position = ConfigErrors::kWholeFile;
  std::erase_if(flat.children, [](const YamlValue& child) { return child.key == kComment; });
  const auto refuse_use = [&flat](std::string_view key, std::string_view why) {
    if (flat.find(key) != nullptr) {
      ConfigErrors other_use;
      refuse_key(flat, key, why, other_use);
      other_use.throw_if_any();
    }
  };
  Conversion conversion(flat, file, errors);
  if (use == PublishedUse::sampling) {
    refuse_use("num_train_iters", "is a key of training; ebm_train takes this file");
    return conversion.sampling();
  }
  refuse_use("net_weight_path", "is a key of sampling; ebm_sample takes this file");
  const bool toy = std::ranges::any_of(
      flat.children, [](const YamlValue& child) { return child.key.starts_with("toy_"); });
  return toy ? conversion.training_on_toy_data() : conversion.training_on_images();
}

}  // namespace ebm
