//! How close to its end a certificate is, measured against how long it lives: those that are renewed every few days are late long before a
//! month is left.

use std::time::Duration;

use units::Timestamp;

use crate::Severity;

/// What is left of a long-lived certificate when it begins to matter, and when a person must act.
const LEFT_LOW: Duration = Duration::from_secs(60 * 86_400);
const LEFT_LEAST: Duration = Duration::from_secs(30 * 86_400);
/// The same as parts of its life: one that is renewed at half of it has missed several renewals by then.
const PART_LOW: u32 = 3;
const PART_LEAST: u32 = 6;

/// Says how bad it is that a certificate which was given out then ends then, if it is bad at all.
pub fn expiring(issued: Timestamp, expires: Timestamp, now: Timestamp) -> Option<Severity> {
    let (life, left) = (expires.since(issued), expires.since(now));
    if left <= LEFT_LEAST.min(life / PART_LEAST) {
        Some(Severity::Failed)
    } else if left <= LEFT_LOW.min(life / PART_LOW) {
        Some(Severity::Degraded)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn after(days: u32, hours: u32) -> Timestamp {
        Timestamp(1_796_000_000_000_000).after(DAY * days + DAY / 24 * hours)
    }

    #[test]
    fn a_certificate_of_ten_years_matters_in_its_last_two_months() {
        let judge = |days| expiring(after(0, 0), after(3650, 0), after(days, 0));
        assert_eq!([judge(0), judge(3589)], [None, None]);
        assert_eq!([judge(3590), judge(3619)], [Some(Severity::Degraded); 2]);
        assert_eq!([judge(3620), judge(3650), judge(4000)], [Some(Severity::Failed); 3]);
    }

    #[test]
    fn a_certificate_of_a_week_matters_once_renewals_were_missed() {
        let judge = |days, hours| expiring(after(0, 0), after(7, 0), after(days, hours));
        assert_eq!(judge(4, 12), None, "half its life is over: it is being renewed");
        assert_eq!(judge(4, 17), Some(Severity::Degraded));
        assert_eq!(judge(5, 21), Some(Severity::Failed));
    }
}
