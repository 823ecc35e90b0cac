//! Medians: on a machine that does other things too, a mean is somebody else's figure.

/// The median; `None` of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    values
        .get(middle - 1)
        .map(|lower| f64::midpoint(*lower, upper))
}

/// The value that so many of a hundred do not exceed; `None` of nothing.
pub(crate) fn percentile(mut values: Vec<f64>, percent: usize) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::{median, percentile};

    #[test]
    fn a_percentile_is_one_of_the_values() {
        assert_eq!(percentile(vec![], 99), None);
        assert_eq!(percentile(vec![7.0], 99), Some(7.0));
        let hundred = (1..=100).rev().map(f64::from).collect::<Vec<_>>();
        assert_eq!(percentile(hundred.clone(), 99), Some(99.0));
        assert_eq!(percentile(hundred, 50), Some(50.0));
    }

    #[test]
    fn the_middle_one_or_the_mean_of_the_two_middle_ones() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 100.0, 1.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }
}
