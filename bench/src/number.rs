//! Figures as text: thousands set apart, a sign where a figure stands above another.

/// Stands where nothing was measured.
pub(crate) const MISSING: &str = "–";

/// `1234567.89` to no place: `1,234,568`.
pub(crate) fn plain(figure: f64, places: usize) -> String {
    let text = format!("{:.places$}", figure.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let minus = figure < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    let mut grouped = String::from(if minus { "-" } else { "" });
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

/// As [`plain`], with a sign in front also of what is not negative.
pub(crate) fn above(figure: f64, places: usize) -> String {
    let text = plain(figure, places);
    if text.starts_with('-') {
        text
    } else {
        format!("+{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::{above, plain};

    #[test]
    fn thousands_are_set_apart() {
        let figures = [0.0, 999.4, 1000.0, -1_234_567.0].map(|figure| plain(figure, 0));
        assert_eq!(figures, ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!(plain(12345.678, 2), "12,345.68");
    }

    #[test]
    fn nothing_has_no_minus() {
        assert_eq!(plain(-0.04, 1), "0.0");
        assert_eq!(
            [above(-0.04, 1), above(-2.0, 0), above(2.0, 0)],
            ["+0.0", "-2", "+2"]
        );
    }
}
