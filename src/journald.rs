//! The log: to journald with fields where the service manager gave us its journal, else to stderr as text.
//!
//! `RUST_LOG` filters both alike; the default is `info`.

use std::sync::{OnceLock, PoisonError, RwLock};

use log::{Log, Metadata, Record};
use systemd_journal_logger::{JournalLog, connected_to_journal};

/// Longer values are cut: they are for searching.
const MOST_VALUE: usize = 128;

static JOURNAL: OnceLock<Journal> = OnceLock::new();

struct Journal {
    /// Only asked what passes; it writes nothing.
    filter: env_logger::Logger,
    out: RwLock<JournalLog>,
}

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.filter.matches(record) {
            self.out.read().unwrap_or_else(PoisonError::into_inner).log(record);
        }
    }

    fn flush(&self) {}
}

/// Starts logging; once, before anything is logged.
pub fn start() {
    let mut builder = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"));
    if connected_to_journal()
        && let Ok(out) = JournalLog::new()
    {
        let journal = JOURNAL.get_or_init(|| Journal { filter: builder.build(), out: RwLock::new(out) });
        if log::set_logger(journal).is_ok() {
            log::set_max_level(journal.filter.filter());
        }
        return;
    }
    let _ = builder.try_init();
}

/// From now on each record in the journal has these fields too: `journalctl ROOM=branch-7`. Empty values are left out.
pub fn name(fields: &[(&str, &str)]) {
    let Some(journal) = JOURNAL.get() else { return };
    let known = fields.iter().filter(|(_, value)| !value.is_empty());
    let cut = known.map(|(name, value)| (*name, value.chars().take(MOST_VALUE).collect::<String>()));
    if let Ok(out) = JournalLog::new() {
        let out = out.with_extra_fields(cut);
        *journal.out.write().unwrap_or_else(PoisonError::into_inner) = out;
    }
}
