//! What the store keeps, in one file of SQLite: events in their order, and what webhook subscriptions still need of them.

use crate::publisher::store::{Recovered, StoreError, StoredEvent, StoredSubscription, Write};
use pushbench_core::error::{Error, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi, params};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// In the header of the file: a store of pushbench.
const APPLICATION: i32 = i32::from_be_bytes(*b"pbst");
const VERSION: i32 = 1;
/// `settled_to`: the subscription needs no event up to this one; `settled`: nor these after it.
const SCHEMA: &str = "
    CREATE TABLE log (epoch TEXT NOT NULL);
    INSERT INTO log VALUES (lower(hex(randomblob(8))));
    CREATE TABLE events (number INTEGER PRIMARY KEY, id TEXT NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL);
    CREATE TABLE subscriptions (number INTEGER PRIMARY KEY, url TEXT NOT NULL, types TEXT NOT NULL,
        settled_to INTEGER NOT NULL);
    CREATE TABLE settled (subscription INTEGER, event INTEGER, PRIMARY KEY (subscription, event)) WITHOUT ROWID;";
/// So many events are stored between two removals of old ones.
const TRIM_EVERY: u64 = 256;

#[derive(Default)]
struct SubscriptionState {
    types: Vec<String>,
    open: BTreeSet<u64>,
    /// Settled since the last commit.
    fresh: Vec<u64>,
    /// It has rows in `settled`.
    scattered: bool,
}

impl SubscriptionState {
    fn wants(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|t| t == kind)
    }
}

/// The open file, and in memory what decides which of it is needed.
#[derive(Debug)]
pub struct Database {
    file: PathBuf,
    pub(super) connection: Connection,
    /// Events kept for replay.
    log: u64,
    /// The number of the newest event.
    last: u64,
    trimmed_at: u64,
    subscriptions: BTreeMap<u64, SubscriptionState>,
    ended: Vec<u64>,
}

impl std::fmt::Debug for SubscriptionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} open", self.open.len())
    }
}

impl Database {
    /// Opens a file, or makes it, and keeps it locked; `log` events are kept for replay.
    pub fn open(path: &Path, log: usize) -> Result<(Database, Recovered)> {
        let cannot = |why: String| Error::usage(format!("--store {}: {why}", path.display()));
        // SQLite gives names such as `:memory:` a meaning of their own.
        let file = std::path::absolute(path).map_err(|e| cannot(e.to_string()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&file, flags)
            .and_then(|connection| lock(&connection).map(|()| connection))
            .map_err(|e| cannot(why_not_opened(&file, &e)))?;
        let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
        let read = || -> rusqlite::Result<(i32, i32, i32)> {
            let tables = "SELECT count(*) FROM sqlite_schema";
            let tables = connection.query_row(tables, [], |row| row.get(0))?;
            Ok((tables, number("application_id")?, number("user_version")?))
        };
        match read().map_err(|e| cannot(why_not_opened(&file, &e)))? {
            (0, 0, 0) => {}
            (_, APPLICATION, VERSION) => {}
            (_, APPLICATION, version) => {
                return Err(cannot(format!(
                    "this store has version {version}, and this pushbench reads version {VERSION}: use the \
                     pushbench that made it, or name another file"
                )));
            }
            _ => {
                let why =
                    "a database of another program, which is left as it is: name another file";
                return Err(cannot(why.to_owned()));
            }
        }
        let mut database = Database {
            file,
            connection,
            log: log as u64,
            last: 0,
            trimmed_at: 0,
            subscriptions: BTreeMap::new(),
            ended: Vec::new(),
        };
        let recovered = database.prepare().and_then(|()| database.recover());
        recovered
            .map_err(|e| cannot(why_not_opened(&database.file, &e)))
            .map(|recovered| (database, recovered))
    }

    /// Makes what a new file lacks.
    fn prepare(&mut self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let made: i32 =
            self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if made == 0 {
            let transaction = self.connection.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
        }
        Ok(())
    }

    fn recover(&mut self) -> rusqlite::Result<Recovered> {
        let connection = &self.connection;
        let epoch = connection.query_row("SELECT epoch FROM log", [], |row| row.get(0))?;
        let mut events =
            connection.prepare("SELECT number, id, kind, body FROM events ORDER BY number")?;
        let event = |row: &rusqlite::Row<'_>| {
            let body = row.get::<_, Vec<u8>>(3)?.into();
            Ok(StoredEvent { number: row.get(0)?, id: row.get(1)?, kind: row.get(2)?, body })
        };
        let events: Vec<StoredEvent> =
            events.query_map([], event)?.collect::<rusqlite::Result<_>>()?;
        let mut rows = connection
            .prepare("SELECT number, url, types, settled_to FROM subscriptions ORDER BY number")?;
        let mut settled =
            connection.prepare("SELECT event FROM settled WHERE subscription = ?1")?;
        let mut subscriptions = Vec::new();
        let mut newest = events.last().map_or(0, |event| event.number);
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let (number, settled_to) = (row.get(0)?, row.get(3)?);
            newest = newest.max(settled_to);
            let types: String = row.get(2)?;
            let mut state = SubscriptionState {
                types: serde_json::from_str(&types).unwrap_or_default(),
                ..SubscriptionState::default()
            };
            let settled: BTreeSet<u64> =
                settled.query_map([number], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            let after = events.partition_point(|event| event.number <= settled_to);
            let open =
                |event: &&StoredEvent| !settled.contains(&event.number) && state.wants(&event.kind);
            state.open = events[after..].iter().filter(open).map(|event| event.number).collect();
            state.scattered = !settled.is_empty();
            subscriptions.push(StoredSubscription {
                number,
                url: row.get(1)?,
                types: state.types.clone(),
                open: state.open.iter().copied().collect(),
            });
            self.subscriptions.insert(number, state);
        }
        self.last = newest;
        let trimmed = newest.saturating_sub(self.log);
        let needed =
            |n: u64| n > trimmed || self.subscriptions.values().any(|s| s.open.contains(&n));
        let events = events.into_iter().filter(|event| needed(event.number)).collect();
        Ok(Recovered { epoch, events, trimmed, subscriptions })
    }

    /// Writes all of this in one transaction and returns once it is on disk: the number of the first of its events,
    /// and how long the commit took. Nothing of it is kept where that fails, but that something was settled or has
    /// ended is written with the next transaction then.
    pub fn write(&mut self, writes: &[Write]) -> std::result::Result<(u64, Duration), StoreError> {
        for write in writes {
            match write {
                Write::Settled { subscription, event } => {
                    if let Some(state) = self.subscriptions.get_mut(subscription)
                        && state.open.remove(event)
                    {
                        state.fresh.push(*event);
                    }
                }
                Write::End(number) => {
                    self.subscriptions.remove(number);
                    self.ended.push(*number);
                }
                Write::Event { .. } | Write::Subscription { .. } => {}
            }
        }
        let took = self.commit(writes).map_err(|e| self.not_kept(&e))?;
        self.ended.clear();
        for state in self.subscriptions.values_mut() {
            // Those that are not in the row are in rows of their own.
            state.scattered = !state.open.is_empty()
                && (state.scattered || state.fresh.iter().any(|n| Some(n) > state.open.first()));
            state.fresh.clear();
        }
        let first = self.last + 1;
        for write in writes {
            match write {
                Write::Event { kind, .. } => {
                    self.last += 1;
                    let wanting = self.subscriptions.values_mut().filter(|s| s.wants(kind));
                    wanting.for_each(|s| _ = s.open.insert(self.last));
                }
                Write::Subscription { number, types, .. } => {
                    let state =
                        SubscriptionState { types: types.clone(), ..SubscriptionState::default() };
                    self.subscriptions.insert(*number, state);
                }
                Write::End(_) | Write::Settled { .. } => {}
            }
        }
        Ok((first, took))
    }

    fn commit(&mut self, writes: &[Write]) -> rusqlite::Result<Duration> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for number in &self.ended {
            end(&transaction, *number)?;
        }
        for (number, state) in self.subscriptions.iter().filter(|(_, s)| !s.fresh.is_empty()) {
            settle(&transaction, *number, state, self.last)?;
        }
        let mut next = self.last + 1;
        for write in writes {
            match write {
                Write::Event { id, kind, body } => {
                    transaction
                        .prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4)")?
                        .execute(params![next, id, kind, &body[..]])?;
                    next += 1;
                }
                Write::Subscription { number, url, types } => {
                    let types = serde_json::json!(types).to_string();
                    transaction
                        .prepare_cached("INSERT INTO subscriptions VALUES (?1, ?2, ?3, ?4)")?
                        .execute(params![number, url, types, next - 1])?;
                }
                Write::End(_) | Write::Settled { .. } => {}
            }
        }
        let trims = self.last >= self.trimmed_at + TRIM_EVERY;
        if trims {
            trim(&transaction, (self.last + 1).saturating_sub(self.log), &self.subscriptions)?;
        }
        let begun = Instant::now();
        transaction.commit()?;
        if trims {
            self.trimmed_at = self.last;
        }
        Ok(begun.elapsed())
    }

    fn not_kept(&self, e: &rusqlite::Error) -> StoreError {
        let file = self.file.display();
        let code = e.sqlite_error().map(|e| (e.code, e.extended_code));
        let why = match code {
            Some((ErrorCode::DiskFull, _)) => "its disk is full: free some space",
            Some((_, ffi::SQLITE_IOERR_WRITE)) => {
                "its disk refuses more: look at quotas and ulimit -f"
            }
            _ => {
                let message = format!(
                    "{file}: {e}; nothing more is kept: look at its disk, then start the publisher anew"
                );
                return StoreError { full: false, message };
            }
        };
        let message = format!("{file}: {why}, and publish again what was not acknowledged");
        StoreError { full: true, message }
    }
}

fn end(transaction: &Transaction<'_>, number: u64) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM subscriptions WHERE number = ?1", [number])?;
    transaction.execute("DELETE FROM settled WHERE subscription = ?1", [number])?;
    Ok(())
}

/// Writes what a subscription has settled since the last commit.
fn settle(
    transaction: &Transaction<'_>,
    number: u64,
    state: &SubscriptionState,
    last: u64,
) -> rusqlite::Result<()> {
    let settled_to = state.open.first().map_or(last, |first| first - 1);
    transaction
        .prepare_cached("UPDATE subscriptions SET settled_to = ?2 WHERE number = ?1")?
        .execute([number, settled_to])?;
    if state.scattered {
        transaction
            .prepare_cached("DELETE FROM settled WHERE subscription = ?1 AND event <= ?2")?
            .execute([number, settled_to])?;
    }
    for event in state.fresh.iter().filter(|event| **event > settled_to) {
        transaction
            .prepare_cached("INSERT INTO settled VALUES (?1, ?2)")?
            .execute([number, *event])?;
    }
    Ok(())
}

/// Removes events before this number, except those that a subscription still needs.
fn trim(
    transaction: &Transaction<'_>,
    before: u64,
    subscriptions: &BTreeMap<u64, SubscriptionState>,
) -> rusqlite::Result<()> {
    let open = subscriptions.values().flat_map(|s| s.open.range(..before));
    let needed: BTreeSet<u64> = open.copied().chain([before]).collect();
    let mut after = 0;
    for needed in needed {
        transaction
            .prepare_cached("DELETE FROM events WHERE number > ?1 AND number < ?2")?
            .execute([after, needed])?;
        after = needed;
    }
    Ok(())
}

/// Takes the lock that is held until the process ends.
fn lock(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")
}

fn why_not_opened(file: &Path, e: &rusqlite::Error) -> String {
    match e.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another publisher uses it: end that one, or name another file".to_owned()
        }
        Some(ErrorCode::NotADatabase) => {
            "not a store, and left as it is: name another file".to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            format!("{e}: name another file, or one restored from a copy")
        }
        Some(ErrorCode::DiskFull) => "its disk is full: free some space".to_owned(),
        // SQLite does not tell why; opening the file as SQLite does, tells.
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure) => {
            let opened = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(file);
            let why = opened.err().unwrap_or_else(|| io::Error::other(e.to_string()));
            let remedy = match why.kind() {
                io::ErrorKind::NotFound => "make the directory first, or name a file in another",
                io::ErrorKind::IsADirectory => "name a file in it",
                _ => "name a file that may be written, in a directory that may be",
            };
            format!("{why}; {remedy}")
        }
        _ => format!("{e}; look at its disk, or name another file"),
    }
}
