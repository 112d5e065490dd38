//! Contacts bounce, and long wires pick up sparks: a level counts once it has lasted. Where the kernel cannot see to
//! that, this does; as in the kernel, the level has to stand still for the whole period.

use std::time::{Duration, Instant};

/// One line. With a period of zero it lets everything through.
#[derive(Clone, Debug)]
pub struct Debounce {
    period: Duration,
    /// What counts; nothing until a first level has lasted.
    level: Option<bool>,
    /// Something else, and since when.
    candidate: Option<(bool, Instant)>,
}

impl Debounce {
    /// A line of which nothing is known yet.
    #[must_use]
    pub fn new(period: Duration) -> Self {
        Self { period, level: None, candidate: None }
    }

    /// The line has `level` since `at`. Ask [`Self::settle`] with `at` first: what lasted until then counts.
    pub fn level(&mut self, level: bool, at: Instant) {
        if self.level == Some(level) {
            self.candidate = None;
        } else if self.candidate.is_none_or(|(candidate, _)| candidate != level) {
            self.candidate = Some((level, at));
        }
    }

    /// A level that has lasted by `now`: which, and when it began.
    pub fn settle(&mut self, now: Instant) -> Option<(bool, Instant)> {
        let (level, since) = self.candidate.filter(|(_, since)| now >= *since + self.period)?;
        self.candidate = None;
        self.level = Some(level);
        Some((level, since))
    }

    /// When [`Self::settle`] is to be asked again, unless the level changes before.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.candidate.map(|(_, since)| since + self.period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_spark_shorter_than_the_period_is_nothing() {
        let start = Instant::now();
        let mut line = Debounce::new(15 * MS);
        line.level(false, start);
        assert_eq!(line.settle(start + 15 * MS), Some((false, start)));
        let spark = start + 100 * MS;
        line.level(true, spark);
        assert_eq!(line.settle(spark + 14 * MS), None);
        line.level(false, spark + 14 * MS);
        assert_eq!((line.settle(spark + 500 * MS), line.next()), (None, None));
    }

    #[test]
    fn while_contacts_bounce_the_period_begins_anew_with_each_change() {
        let start = Instant::now();
        let mut line = Debounce::new(15 * MS);
        let mut level = true;
        for ms in [0, 3, 7, 9, 20] {
            assert_eq!(line.settle(start + ms * MS), None);
            line.level(level, start + ms * MS);
            level = !level;
        }
        assert_eq!(line.next(), Some(start + 35 * MS));
        assert_eq!(line.settle(start + 35 * MS), Some((true, start + 20 * MS)));
    }
}
