//! Inline text: converts the Markdown of other parts of the report to HTML (bold, code and escaped characters), and shortens names.

use crate::report::names::{plain, shorten};

/// A line of the report's own Markdown as HTML. Everything else is already escaped: `&lt;` stays as it is.
pub(super) fn html(markdown: &str) -> String {
    let mut text = String::new();
    let mut chars = markdown.chars().peekable();
    let (mut bold, mut code) = (false, false);
    while let Some(c) = chars.next() {
        match c {
            '`' => {
                text += if code { "</code>" } else { "<code>" };
                code = !code;
            }
            '&' if code => text += "&amp;",
            '<' => text += "&lt;",
            '>' => text += "&gt;",
            '"' => text += "&quot;",
            '\\' if !code => text.extend(chars.next().map(escaped).into_iter().flatten()),
            '*' if !code && chars.peek() == Some(&'*') => {
                chars.next();
                text += if bold { "</strong>" } else { "<strong>" };
                bold = !bold;
            }
            _ => text.push(c),
        }
    }
    text += if code { "</code>" } else { "" };
    text + if bold { "</strong>" } else { "" }
}

/// Tables, lists and paragraphs of the report's own Markdown as HTML.
pub(super) fn blocks(markdown: &str) -> String {
    let mut text = String::new();
    for block in markdown.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let lines: Vec<&str> = block.lines().collect();
        text += &match lines[0].get(..2) {
            Some("| ") => table(&lines),
            Some("- ") => {
                lines.iter().fold("<ul>".to_owned(), |list, line| list + "<li>" + &html(&line[2..])) + "</ul>"
            }
            _ => format!("<p>{}</p>", html(&lines.join(" "))),
        };
    }
    text
}

/// The first line names the columns; the second gives their alignment.
fn table(lines: &[&str]) -> String {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim_start_matches("| ").trim_end_matches(" |");
        inner.split(" | ").map(html).collect()
    };
    let row = |line: &str, tag: &str| {
        let cells = cells(line).into_iter().map(|cell| format!("<{tag}>{cell}</{tag}>")).collect::<String>();
        format!("<tr>{cells}</tr>")
    };
    let head = row(lines[0], "th").replace("<th>", "<th scope=\"col\">");
    let body: String = lines.iter().skip(2).map(|line| row(line, "td")).collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>"
    )
}

/// A character that is escaped in Markdown, as HTML.
fn escaped(c: char) -> Vec<char> {
    match c {
        '<' => "&lt;".chars().collect(),
        '&' => "&amp;".chars().collect(),
        _ => vec![c],
    }
}

/// A name, shortened to keep a page readable, without characters that reverse the direction of the rest of a line.
pub(super) fn shown_name(name: &str) -> String {
    shorten(&plain(name), 72)
}

#[cfg(test)]
mod tests {
    use super::super::super::names::{code, markdown};
    use super::*;

    #[test]
    fn markup_of_ours_becomes_elements_and_no_other_does() {
        assert_eq!(
            html("**Not comparable:** `a<b` differs"),
            "<strong>Not comparable:</strong> <code>a&lt;b</code> differs"
        );
        assert_eq!(html(&markdown("<script> & **x** `y` \\")), "&lt;script&gt; &amp; **x** `y` \\");
        assert_eq!(html(&code("<i>`|&amp;")), "<code>&lt;i&gt;'¦&amp;amp;</code>");
        let blocks = blocks("| A | B |\n| :--- | ---: |\n| a\\|b | 1 |\n\nText\nmore.\n\n- one\n- **two**\n");
        assert!(blocks.contains("<tr><td>a|b</td><td>1</td></tr>"), "{blocks}");
        assert!(blocks.ends_with("<p>Text more.</p><ul><li>one<li><strong>two</strong></ul>"), "{blocks}");
        assert_eq!(html("**`open"), "<strong><code>open</code></strong>");
    }
}
