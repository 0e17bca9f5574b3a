// The pieces that a page of HTML is made of.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ebm {

/// A text as it stands in HTML, in attributes as well.
std::string escape_html(std::string_view text);

/// A number for people: "10,000" of whole ones, four digits of others ("−0.1547"), a true minus
/// sign; "∞" and "not a number".
std::string readable_number(double value);

/// A table of texts, none of them escaped yet. The first column has the rows' headers.
struct HtmlTable {
  std::string caption;
  std::vector<std::string> columns;  ///< their headers
  std::vector<std::vector<std::string>> rows;
};

/// The table in a box of its own, in which it scrolls where it is wider than the page. "" without
/// rows.
std::string to_html(const HtmlTable& table);

/// Figures beside each other where there is room for each to be `em` wide. "" of none.
std::string in_columns(const std::string& figures, int em);

/// A part of a page under a heading of its own.
struct HtmlSection {
  std::string id;     ///< a word, for links
  std::string title;  ///< not escaped yet
  std::string html;   ///< left out where it is empty
};

/// A whole page that needs no other file: its style, light or dark as the reader has it, a heading,
/// links to the sections, and these. `title` is the browser's; neither it nor `heading` is escaped
/// yet.
std::string html_page(const std::string& title, const std::string& heading,
                      std::span<const HtmlSection> sections);

}  // namespace ebm
