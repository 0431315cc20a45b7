//! Formats numbers in the same way for the report, the plots and the terminal.

/// Shown in place of a missing figure.
pub(crate) const NONE: &str = "—";

/// A fraction as a percentage, without the percent sign.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.1}", 100.0 * fraction)
}

/// A difference of fractions in percentage points, with a plus or minus sign.
pub(crate) fn points(difference: f64) -> String {
    let text = format!("{:+.1}", 100.0 * difference);
    // Zero has no sign.
    if text == "-0.0" || text == "+0.0" { "0.0".to_owned() } else { text.replace('-', "−") }
}

/// A magnitude with three significant digits, or all digits of its whole part.
pub fn magnitude(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        NONE.to_owned()
    } else if size >= 99.95 {
        grouped(value.round() as i128)
    } else if size >= 9.995 {
        format!("{value:.1}")
    } else if size >= 0.9995 {
        format!("{value:.2}")
    } else if size >= 1e-4 {
        let decimals = 2 - size.log10().floor() as i32;
        format!("{value:.decimals$}", decimals = decimals as usize)
    } else if size == 0.0 {
        "0".to_owned()
    } else {
        format!("{value:.2e}")
    }
}

/// A number for other programs, with six significant digits, which is as fine as plots are drawn.
pub(crate) fn csv_number(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    // Through the shortest notation of the rounded number, so that 0.1 stays 0.1.
    let rounded: f64 = format!("{value:.5e}").parse().expect("it was just formatted as a number");
    rounded.to_string()
}

/// A count with three significant digits and a metric suffix: `2.69 M`.
pub fn count(value: f64) -> String {
    for (unit, suffix) in [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")] {
        // Not below the unit itself: 999,999 is 1.00 M, and 999 is 999.
        if value >= 0.9995 * unit && unit > 1e3 || value >= unit {
            return format!("{}{suffix}", magnitude(value / unit));
        }
    }
    magnitude(value)
}

/// A whole number with commas between thousands.
pub(crate) fn grouped(value: impl Into<i128>) -> String {
    let value = value.into();
    let digits = value.unsigned_abs().to_string();
    let mut text = String::from(if value < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An amount of memory.
pub(crate) fn gibibytes(bytes: u64) -> String {
    format!("{} GiB", magnitude(bytes as f64 / (1_u64 << 30) as f64))
}

/// A noun with its number: `1 run`, `2 runs`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number as i128), if number == 1 { "" } else { "s" })
}

/// A figure's text, or the sign for a missing figure.
pub(crate) fn or_none<T>(figure: Option<T>, text: impl FnOnce(T) -> String) -> String {
    figure.map_or_else(|| NONE.to_owned(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_keep_three_digits() {
        let cases = [
            (0.0, "0"),
            (0.00344, "0.00344"),
            (0.5, "0.500"),
            (0.99999, "1.00"),
            (9.999, "10.0"),
            (56.27, "56.3"),
            (99.97, "100"),
            (406.3, "406"),
            (12_345.6, "12,346"),
            (1e-7, "1.00e-7"),
            (f64::NAN, NONE),
        ];
        for (value, text) in cases {
            assert_eq!(magnitude(value), text);
        }
    }

    #[test]
    fn counts_have_suffixes() {
        for (value, text) in
            [(999.0, "999"), (1000.0, "1.00 k"), (2_693_578.0, "2.69 M"), (999_999.0, "1.00 M"), (1.83e8, "183 M")]
        {
            assert_eq!(count(value), text);
        }
    }

    #[test]
    fn thousands_are_grouped() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567")] {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn numbers_for_programs_are_short() {
        for (value, text) in [(0.1, "0.1"), (1234.56789, "1234.57"), (2_693_578.0, "2693580"), (f64::NAN, "")] {
            assert_eq!(csv_number(value), text);
        }
        assert_eq!([0.0012, -0.0271, 0.00001].map(points), ["+0.1", "−2.7", "0.0"]);
    }

    #[test]
    fn memory_and_nouns() {
        assert_eq!(gibibytes(3 << 29), "1.50 GiB");
        assert_eq!(counted(1, "run"), "1 run");
        assert_eq!(counted(2000, "run"), "2,000 runs");
    }
}
