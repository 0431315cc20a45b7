//! Makes names that users chose safe to show. A name is free text: it may be 300 characters long, or contain markup or control
//! characters that reverse the direction of the rest of a line.

/// The name on one line, without characters that are invisible or change the direction of what follows.
pub(crate) fn plain(name: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    name.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// At most `chars` characters of the name: its beginning and its end, where names of one family differ.
pub(crate) fn shorten(name: &str, chars: usize) -> String {
    let all: Vec<char> = name.chars().collect();
    if all.len() <= chars {
        return name.to_owned();
    }
    let kept = chars.saturating_sub(1);
    let (head, tail) = (kept.div_ceil(2), kept / 2);
    all[..head].iter().chain(&['…']).chain(&all[all.len() - tail..]).collect()
}

/// Text for Markdown, inside or outside a table: nothing in it is taken for markup or HTML.
pub(crate) fn markdown(text: &str) -> String {
    let mut escaped = String::new();
    for c in plain(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '#' | '!' => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Text for HTML and SVG, inside an element or an attribute in quotes.
pub(crate) fn html(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// A model's name for Markdown, shortened to keep a table readable.
pub(crate) fn markdown_name(name: &str) -> String {
    markdown(&shorten(&plain(name), 48))
}

/// Text as Markdown code, inside or outside a table. Code has no escapes, so characters that would end it are replaced.
pub(crate) fn code(text: &str) -> String {
    let text = plain(text).replace('`', "'").replace('|', "¦");
    format!("`{}`", if text.trim().is_empty() { "-" } else { text.trim() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shorten("vit-tiny", 8), "vit-tiny");
        assert_eq!(shorten("vit-tiny-patch16-lr3", 9), "vit-…-lr3");
        assert_eq!(shorten("ab", 1), "…");
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(markdown("a|b*c_d`e\\"), "a\\|b\\*c\\_d\\`e\\\\");
        assert_eq!(markdown("<script>&lt;"), "&lt;script&gt;&amp;lt;");
        assert_eq!(markdown("![x](y)"), "\\!\\[x\\](y)");
        assert_eq!(markdown("two\nlines\u{202e}"), "two\u{fffd}lines\u{fffd}");
        assert_eq!(code("a`b|c"), "`a'b¦c`");
        assert_eq!(html("<b a='1' c=\"2\">&"), "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;");
    }
}
