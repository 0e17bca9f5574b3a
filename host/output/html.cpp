#include "host/output/html.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "host/grouped.h"

namespace ebm {
namespace {

constexpr std::size_t kSentence = 40;  // characters of a cell that is more than a name or a number

// Nothing is loaded from anywhere, and the policy has the browser see to it.
constexpr std::string_view kHead = R"html(<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
:root {
  color-scheme: light dark;
  --ground: #ffffff; --text: #1b1b1f; --quiet: #55585f; --link: #0b57d0; --line: #c9ccd1;
  --band: #f3f4f6;
  --good-ground: #e2f4e5; --good: #0b5a20; --bad-ground: #fde8e6; --bad: #8c1d18;
  --open-ground: #fff1d3; --open: #664300;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #131418; --text: #e6e7ea; --quiet: #adb1b9; --link: #8ab4f8; --line: #44474e;
    --band: #1e2026;
    --good-ground: #12351d; --good: #a6e9b5; --bad-ground: #47201e; --bad: #ffb4ab;
    --open-ground: #3d2f0a; --open: #ffdf99;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.25rem clamp(0.75rem, 3vw, 2.5rem) 3rem; max-width: 84rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.2; margin: 0 0 0.75rem; }
h2 {
  font-size: 1.35rem; line-height: 1.25; margin: 2.75rem 0 0.75rem; padding-top: 1rem;
  border-top: 1px solid var(--line);
}
h3 { font-size: 1.1rem; margin: 1.75rem 0 0.5rem; }
p { max-width: 48rem; margin: 0 0 0.9rem; }
a { color: var(--link); }
nav ul {
  list-style: none; display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; padding: 0; margin: 0;
}
.quiet, figcaption { color: var(--quiet); }
.verdict {
  font-size: 1.15rem; padding: 0.8rem 1rem; border-radius: 0.5rem; border-left: 0.4rem solid;
}
.convergent { background: var(--good-ground); color: var(--good); }
.non-convergent { background: var(--bad-ground); color: var(--bad); }
.undecided { background: var(--open-ground); color: var(--open); }
.scroll { position: relative; overflow-x: auto; max-width: 100%; margin: 0 0 1.25rem; }
.scroll:focus-visible, summary:focus-visible {
  outline: 3px solid var(--link); outline-offset: 2px;
}
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; font-weight: 600; padding: 0.2rem 0; white-space: nowrap; }
/* What the heading above has said already. */
h3 + .scroll caption, h3 + p + .scroll caption { position: absolute; clip-path: inset(50%); }
th, td {
  text-align: left; vertical-align: top; padding: 0.35rem clamp(0.4rem, 1.5vw, 0.9rem);
  border-bottom: 1px solid var(--line);
}
th:first-child { padding-left: 0.5rem; }
thead th { background: var(--band); }
tbody th { font-weight: 600; }
.sentence { min-width: min(17rem, 56vw); max-width: 44rem; overflow-wrap: anywhere; }
.pictures {
  display: grid; gap: 0 1.5rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--width, 34rem)), 1fr));
}
figure { margin: 0 0 1.5rem; min-width: 0; break-inside: avoid; }
figure .scroll {
  margin: 0; background: #ffffff; padding: 0.4rem; border-radius: 0.4rem;
  border: 1px solid var(--line);
}
figure img { display: block; width: 100%; height: auto; }
@media (max-width: 46rem) { figure.plot img { min-width: 42rem; } }
figure.grid { max-width: 44rem; }
figcaption { padding: 0.35rem 0.1rem 0; font-size: 0.95rem; }
summary { cursor: pointer; padding: 0.3rem 0; }
pre {
  margin: 0; padding: 0.75rem; background: var(--band); border-radius: 0.4rem;
  font: 0.9rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace;
}
</style>
)html";

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string readable_number(double value) {
  constexpr double kWhole = 1e15;  // doubles below are exact to less than 1
  if (std::isnan(value)) return "not a number";
  const double size = std::abs(value);
  std::string text;
  if (std::isinf(value)) {
    text = "∞";
  } else if (size < kWhole && (size >= 1e3 || size == std::floor(size))) {
    text = grouped(static_cast<std::int64_t>(std::llround(size)));
  } else {
    text = fmt::format("{:.4g}", size);
    if (const std::size_t exponent = text.find("e-"); exponent != std::string::npos) {
      text.replace(exponent, 2, "e−");
    }
  }
  return (value < 0 ? "−" : "") + text;
}

std::string to_html(const HtmlTable& table) {
  if (table.rows.empty()) return "";
  const std::string caption = escape_html(table.caption);
  std::string html = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table: {0}\">\n<table>\n"
      "<caption>{0}</caption>\n<thead><tr>",
      caption);
  for (const std::string& column : table.columns) {
    html += fmt::format("<th scope=\"col\">{}</th>", escape_html(column));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : table.rows) {
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const char* const kind = row[i].size() > kSentence ? " class=\"sentence\"" : "";
      html += i == 0 ? fmt::format("<th scope=\"row\">{}</th>", escape_html(row[i]))
                     : fmt::format("<td{}>{}</td>", kind, escape_html(row[i]));
    }
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table>\n</div>\n";
}

std::string in_columns(const std::string& figures, int em) {
  return figures.empty()
             ? ""
             : fmt::format("<div class=\"pictures\" style=\"--width: {}rem\">\n{}</div>\n", em,
                           figures);
}

std::string html_page(const std::string& title, const std::string& heading,
                      std::span<const HtmlSection> sections) {
  std::string links;
  std::string parts;
  for (const HtmlSection& section : sections) {
    if (section.html.empty()) continue;
    const std::string name = escape_html(section.title);
    links += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", section.id, name);
    parts +=
        fmt::format("<section aria-labelledby=\"{0}\">\n<h2 id=\"{0}\">{1}</h2>\n{2}</section>\n",
                    section.id, name, section.html);
  }
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n{}<title>{}</title>\n</head>\n<body>\n"
      "<header>\n<h1>{}</h1>\n<nav aria-label=\"Sections\"><ul>\n{}</ul></nav>\n</header>\n"
      "<main>\n{}</main>\n</body>\n</html>\n",
      kHead, escape_html(title), escape_html(heading), links, parts);
}

}  // namespace ebm
