#include "host/data/cifar10_pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "cuda/base/errors.h"

namespace ebm {
namespace {

constexpr std::int64_t kLength = 3072;        // of an image
constexpr std::size_t kMostValues = 1 << 20;  // the published files have 20,000 labels and names
constexpr std::string_view kReconstruct = "numpy.core.multiarray _reconstruct";
constexpr std::string_view kArray = "numpy ndarray";
constexpr std::string_view kDtype = "numpy dtype";

/// A value of the pickle. Values refer to others by their numbers.
struct Value {
  enum class Kind { constant, integer, text, list, tuple, dictionary, function, dtype, array };

  Kind kind = Kind::constant;
  std::int64_t number = 0;           ///< of an integer; of a constant, 1 for True
  std::string_view text{};           ///< also of a function "module name", and a dtype "u1"
  std::vector<std::size_t> items{};  ///< of a tuple
  std::map<std::string_view, std::size_t> entries{};  ///< of a dictionary
  std::vector<std::byte> levels{};                    ///< of an array
};

/// The stack machine of one pickle of protocol 2.
class Machine {
 public:
  Machine(std::span<const std::byte> pickle, const std::filesystem::path& path)
      : rest_(reinterpret_cast<const char*>(pickle.data()), pickle.size()), path_(path) {}

  /// The levels of the array 'data'.
  std::vector<std::byte> run() {
    if (take(2) != "\x80\x02") {
      fail("is of another protocol than 2");
    }
    for (char instruction = take(1).front(); instruction != '.'; instruction = take(1).front()) {
      step(instruction);
    }
    const std::map<std::string_view, std::size_t> entries = pop(Value::Kind::dictionary).entries;
    const auto data = entries.find("data");
    if (data == entries.end() || values_[data->second].kind != Value::Kind::array ||
        values_[data->second].levels.empty()) {
      fail("has no array 'data'");
    }
    return std::move(values_[data->second].levels);
  }

 private:
  using Kind = Value::Kind;

  [[noreturn]] void fail(std::string_view problem) const {
    throw InputFileError(
        fmt::format("{}: is no batch of CIFAR-10 as Python saved it: its pickle {}; fetch it again",
                    path_.string(), problem));
  }

  std::string_view take(std::size_t size) {
    if (size > rest_.size()) {
      fail("is cut short");
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view take_line() {
    const std::string_view line =
        take(rest_.find('\n') == std::string_view::npos ? rest_.size() + 1  // which fails
                                                        : rest_.find('\n'));
    take(1);
    return line;
  }

  /// A little-endian number of as many bytes as Number has.
  template <class Number>
  std::int64_t take_number() {
    Number number = 0;
    std::memcpy(&number, take(sizeof(number)).data(), sizeof(number));
    return number;
  }

  void push(Value value) {
    if (values_.size() == kMostValues) {
      fail(fmt::format("holds more than {} values", kMostValues));
    }
    stack_.push_back(values_.size());
    values_.push_back(std::move(value));
  }

  std::size_t top() const {
    if (stack_.empty()) {
      fail("takes more from the stack than there is");
    }
    return stack_.back();
  }

  std::size_t pop() {
    const std::size_t value = top();
    if (!marks_.empty() && marks_.back() == stack_.size()) {
      fail("takes more from the stack than there is");
    }
    stack_.pop_back();
    return value;
  }

  const Value& pop(Kind kind) { return checked(pop(), kind); }

  const Value& checked(std::size_t number, Kind kind) const {
    if (values_[number].kind != kind) {
      fail("has a value of another type than belongs there");
    }
    return values_[number];
  }

  std::vector<std::size_t> pop_to_mark() {
    if (marks_.empty()) {
      fail("takes more from the stack than there is");
    }
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<std::size_t> taken(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return taken;
  }

  void push_tuple(std::size_t size) {
    std::vector<std::size_t> items(size);
    std::generate(items.rbegin(), items.rend(), [this] { return pop(); });
    push({.kind = Kind::tuple, .items = std::move(items)});
  }

  void recall(std::int64_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) {
      fail("recalls what it has not kept");
    }
    stack_.push_back(found->second);
  }

  void set_items() {
    const std::vector<std::size_t> items = pop_to_mark();
    checked(top(), Kind::dictionary);
    if (items.size() % 2 != 0) {
      fail("has a key without a value");
    }
    for (std::size_t i = 0; i < items.size(); i += 2) {
      values_[top()].entries[checked(items[i], Kind::text).text] = items[i + 1];
    }
  }

  void push_function(std::string_view module, std::string_view name) {
    for (const std::string_view known : {kReconstruct, kArray, kDtype}) {
      if (known == fmt::format("{} {}", module, name)) {
        push({.kind = Kind::function, .text = known});
        return;
      }
    }
    fail(fmt::format("asks for {:.60}.{:.60}, which no such batch needs", module, name));
  }

  void call() {
    const std::vector<std::size_t> arguments = pop(Kind::tuple).items;
    const std::string_view function = pop(Kind::function).text;
    if (function == kDtype && !arguments.empty()) {
      push({.kind = Kind::dtype, .text = checked(arguments.front(), Kind::text).text});
    } else if (function == kReconstruct && !arguments.empty() &&
               checked(arguments.front(), Kind::function).text == kArray && !has_array_) {
      has_array_ = true;  // and no other: a few bytes would each take the memory of all its levels
      push({.kind = Kind::array});
    } else {
      fail("makes a call that no such batch needs");
    }
  }

  /// Gives an object its state, a tuple.
  void build() {
    const std::vector<std::size_t> state = pop(Kind::tuple).items;
    if (values_[top()].kind != Kind::dtype) {
      checked(top(), Kind::array);
      fill_array(values_[top()], state);
    }
  }

  /// state: version, shape, dtype, whether in Fortran order, bytes.
  void fill_array(Value& array, const std::vector<std::size_t>& state) const {
    if (state.size() != 5 || !array.levels.empty()) {
      fail("has an array of another version");
    }
    const std::vector<std::size_t>& shape = checked(state[1], Kind::tuple).items;
    const bool by_columns = checked(state[3], Kind::constant).number != 0;
    const std::string_view bytes = checked(state[4], Kind::text).text;
    if (checked(state[2], Kind::dtype).text != "u1" || shape.size() != 2 ||
        checked(shape[1], Kind::integer).number != kLength || bytes.empty() ||
        bytes.size() % kLength != 0 ||
        checked(shape[0], Kind::integer).number != std::ssize(bytes) / kLength) {
      fail(fmt::format("has an array that is not of images of {} 8-bit levels", kLength));
    }
    const std::size_t rows = bytes.size() / kLength;
    array.levels.resize(bytes.size());
    std::memcpy(array.levels.data(), bytes.data(), bytes.size());
    if (by_columns) {
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        array.levels[i % rows * kLength + i / rows] = static_cast<std::byte>(bytes[i]);
      }
    }
  }

  void step(char instruction) {
    switch (instruction) {
      case '}':
        return push({.kind = Kind::dictionary});
      case ']':
        return push({.kind = Kind::list});
      case '(':
        return marks_.push_back(stack_.size());
      case 'q':
        memo_[take_number<std::uint8_t>()] = top();
        return;
      case 'r':
        memo_[take_number<std::uint32_t>()] = top();
        return;
      case 'h':
        return recall(take_number<std::uint8_t>());
      case 'j':
        return recall(take_number<std::uint32_t>());
      case 'U':
        return push_text(take_number<std::uint8_t>());
      case 'T':
        return push_text(take_number<std::int32_t>());
      case 'K':
        return push({.kind = Kind::integer, .number = take_number<std::uint8_t>()});
      case 'M':
        return push({.kind = Kind::integer, .number = take_number<std::uint16_t>()});
      case 'J':
        return push({.kind = Kind::integer, .number = take_number<std::int32_t>()});
      case 'N':
      case '\x89':
        return push({.kind = Kind::constant});
      case '\x88':
        return push({.kind = Kind::constant, .number = 1});
      case 't':
        return push({.kind = Kind::tuple, .items = pop_to_mark()});
      case '\x85':
      case '\x86':
      case '\x87':
        return push_tuple(static_cast<std::size_t>(instruction - '\x84'));
      case 'e':
        pop_to_mark();  // labels and names of files, which nobody asks for
        checked(top(), Kind::list);
        return;
      case 'u':
        return set_items();
      case 'c': {
        const std::string_view module = take_line();
        return push_function(module, take_line());
      }
      case 'R':
        return call();
      case 'b':
        return build();
      default:
        fail(fmt::format("has the instruction {:#04x}, which no such batch has",
                         static_cast<unsigned char>(instruction)));
    }
  }

  void push_text(std::int64_t size) {
    if (size < 0) {
      fail("has a text of negative length");
    }
    push({.kind = Kind::text, .text = take(static_cast<std::size_t>(size))});
  }

  std::string_view rest_;
  const std::filesystem::path& path_;
  std::vector<Value> values_;
  std::vector<std::size_t> stack_;  // of values' numbers
  std::vector<std::size_t> marks_;  // heights of the stack
  std::map<std::int64_t, std::size_t> memo_;
  bool has_array_ = false;
};

}  // namespace

std::vector<std::byte> read_cifar10_pickle(std::span<const std::byte> pickle,
                                           const std::filesystem::path& path) {
  return Machine(pickle, path).run();
}

}  // namespace ebm
