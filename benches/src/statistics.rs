//! Medians, which are judged, minima, and the spread of values.

/// The value at `quarter` quarters of the sorted values; `None` without values.
fn quartile(values: &[f64], quarter: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() * quarter / 4).min(sorted.len().saturating_sub(1))).copied()
}

/// The smallest value.
fn least(values: &[f64]) -> Option<f64> {
    quartile(values, 0)
}

/// The value in the middle; for an even number of values, the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get(sorted.len().checked_sub(1)? / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// The middle half, such as `0.95 - 0.98`.
pub(crate) fn middle_half(values: &[f64], digits: usize) -> String {
    let [low, high] = [1, 3].map(|quarter| shown(quartile(values, quarter), digits));
    format!("{low} - {high}")
}

/// The median and, in brackets, the minimum, such as `185 (180)`; a dash without values.
pub(crate) fn with_minimum(values: &[f64], digits: usize) -> String {
    match (median(values), least(values)) {
        (Some(median), Some(least)) => format!("{median:.digits$} ({least:.digits$})"),
        _ => "-".to_owned(),
    }
}

/// A number, or a dash.
pub(crate) fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(least(&[3.0, 1.0, 2.0]), Some(1.0));
        assert_eq!(middle_half(&[5.0, 1.0, 2.0, 4.0, 3.0], 1), "2.0 - 4.0");
        assert_eq!(with_minimum(&[3.0, 1.0, 2.0], 1), "2.0 (1.0)");
        assert_eq!(with_minimum(&[], 1), "-");
        assert_eq!(shown(None, 2), "-");
    }
}
