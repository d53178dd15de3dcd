//! What holds of a rate however fast it is tried.

use proptest::{collection::vec, prelude::*, test_runner::RngSeed};

use super::*;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..Default::default()
    })]

    #[test]
    fn no_minute_has_more_than_its_limit_and_none_is_refused_without_need(
        limit in 1..6usize,
        pauses in vec(prop_oneof![0..100_000u64, 0..40_000_000u64], 0..60),
    ) {
        let (mut rate, mut now) = (Rate::default(), Instant::now());
        let mut admitted: Vec<Instant> = Vec::new();
        for pause in pauses {
            now += Duration::from_micros(pause);
            let recent = admitted.iter().filter(|at| now - **at < Rate::WINDOW).count();
            prop_assert!(recent <= limit);
            match rate.admit(limit, now) {
                Ok(()) => {
                    prop_assert!(recent < limit);
                    admitted.push(now);
                }
                Err(OverLimit::Rate { wait_ms, .. }) => {
                    prop_assert_eq!(recent, limit);
                    // Told when, it may be believed, and is no later than it must.
                    let then = now + Duration::from_millis(wait_ms);
                    let mut early = Rate(rate.0.clone());
                    prop_assert!(early.admit(limit, then - Duration::from_millis(1)).is_err());
                    prop_assert_eq!(Rate(rate.0.clone()).admit(limit, then), Ok(()));
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
            prop_assert!(rate.0.len() <= limit);
        }
    }
}
