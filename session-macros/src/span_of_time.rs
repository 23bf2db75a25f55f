//! Spans of time in their written form: `"15m"`.

use syn::{Error, LitStr};

const EXPECTED: &str =
    "expected a span of time such as \"15m\": a whole number, and `s`, `m`, `h` or `d`";

/// Returns the milliseconds of a span.
pub(crate) fn milliseconds(span: &LitStr) -> syn::Result<u64> {
    read(&span.value()).ok_or_else(|| Error::new(span.span(), EXPECTED))
}

fn read(span: &str) -> Option<u64> {
    let (number, unit) = span.split_at_checked(span.len().checked_sub(1)?)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    // `parse` alone would accept a `+`.
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number
        .parse::<u64>()
        .ok()
        .filter(|&number| is_number && number > 0)?;
    number.checked_mul(seconds)?.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn spans_are_a_number_and_a_unit() {
        assert_eq!(read("30s"), Some(30_000));
        assert_eq!(read("15m"), Some(900_000));
        assert_eq!(read("8h"), Some(28_800_000));
        assert_eq!(read("400d"), Some(34_560_000_000));
        for wrong in [
            "",
            "m",
            "15",
            "15 m",
            "+15m",
            "-1m",
            "0m",
            "1.5h",
            "15min",
            "1w",
            "15µ",
            "99999999999999999d",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
