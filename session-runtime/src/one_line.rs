//! The text of others in one line: a key, or an error that names it, may come from a visitor.

use std::fmt::{self, Display, Formatter, Write};

/// Shows a value as its `Display` does, with its line breaks and other control characters escaped. A log then has one line
/// for each event, and a terminal shows it as it is.
///
/// Everything in an event whose text is not of this library goes through this, or is a field of type `&str`, which
/// subscribers escape. So does a key in the message of an [`Error`](crate::Error), because applications log that.
pub(crate) struct OneLine<T>(pub(crate) T);

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Escape(f), "{}", self.0)
    }
}

struct Escape<'w, 'f>(&'w mut Formatter<'f>);

impl Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(breaks) {
            match part.chars().next_back().filter(|&last| breaks(last)) {
                Some(last) => {
                    self.0.write_str(&part[..part.len() - last.len_utf8()])?;
                    write!(self.0, "{}", last.escape_default())?;
                }
                None => self.0.write_str(part)?,
            }
        }
        Ok(())
    }
}

/// True for a character that ends a line, moves the cursor, or changes the direction of the text (Unicode Standard Annex #9,
/// §2).
fn breaks(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_in_its_line() {
        for (text, shown) in [
            ("", ""),
            (
                "`cart`: it's \"3\" \\ bücher",
                "`cart`: it's \"3\" \\ bücher",
            ),
            ("a\nERROR b\r\n", "a\\nERROR b\\r\\n"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("\0\t\u{7f}\u{85}", "\\u{0}\\t\\u{7f}\\u{85}"),
            ("one\u{2028}two\u{2029}", "one\\u{2028}two\\u{2029}"),
            ("\u{202e}txt.exe\u{2066}", "\\u{202e}txt.exe\\u{2066}"),
            ("\u{61c}a\u{200e}b\u{200f}", "\\u{61c}a\\u{200e}b\\u{200f}"),
        ] {
            assert_eq!(OneLine(text).to_string(), shown, "{text:?}");
        }
    }
}
