use super::*;
use std::sync::Mutex;
use tempfile::TempDir;

fn event(id: u64) -> Write {
    let body = format!(r#"{{"id":"{id}","type":"event","data":{{}}}}"#).into();
    Write::Event { id: id.to_string(), kind: "event".to_owned(), body }
}

fn subscription(number: u64, types: &[&str]) -> Write {
    let types = types.iter().map(|t| (*t).to_owned()).collect();
    Write::Subscription { number, url: format!("http://127.0.0.1:1/{number}"), types }
}

fn settled(subscription: u64, event: u64) -> Write {
    Write::Settled { subscription, event }
}

/// A directory with a store, and how many events are kept for replay.
struct Stored(TempDir, usize);

impl Stored {
    fn new(log: usize) -> Stored {
        Stored(tempfile::tempdir().unwrap(), log)
    }

    fn open(&self) -> (Database, Recovered) {
        Database::open(&self.0.path().join("s"), self.1).unwrap()
    }

    /// What is there after the process was killed now.
    fn killed(&self) -> (Database, Recovered) {
        let copy = Stored::new(self.1);
        for file in ["s", "s-wal"] {
            std::fs::copy(self.0.path().join(file), copy.0.path().join(file)).unwrap();
        }
        copy.open()
    }

    fn error(&self) -> String {
        Database::open(&self.0.path().join("s"), 4).err().unwrap().to_string()
    }
}

fn open(recovered: &Recovered) -> Vec<(u64, Vec<u64>)> {
    recovered.subscriptions.iter().map(|s| (s.number, s.open.clone())).collect()
}

fn count(database: &Database, table: &str) -> u64 {
    let count = format!("SELECT count(*) FROM {table}");
    database.connection.query_row(&count, [], |row| row.get(0)).unwrap()
}

/// SQLite has no room for more.
fn pages(database: &Database, most: u32) {
    database.connection.pragma_update(None, "max_page_count", most).unwrap();
}

fn numbers(recovered: &Recovered) -> Vec<u64> {
    recovered.events.iter().map(|event| event.number).collect()
}

#[test]
fn what_was_written_is_there_again_in_its_order() {
    let stored = Stored::new(4);
    let (mut database, new) = stored.open();
    assert_eq!((new.events.len(), new.subscriptions.len(), new.trimmed), (0, 0, 0));
    assert_eq!(database.write(&[event(30), event(10)]).unwrap().0, 1);
    let batch = [event(20), subscription(7, &["event"]), subscription(8, &["other"]), event(10)];
    assert_eq!(database.write(&batch).unwrap().0, 3);
    drop(database);
    let (mut database, again) = stored.open();
    assert_eq!(again.epoch, new.epoch);
    let ids: Vec<_> = again.events.iter().map(|e| (e.number, &*e.id)).collect();
    assert_eq!(ids, [(1, "30"), (2, "10"), (3, "20"), (4, "10")]);
    assert_eq!(again.events[0].body, r#"{"id":"30","type":"event","data":{}}"#);
    assert_eq!(again.events[0].kind, "event");
    assert_eq!(again.subscriptions[0].url, "http://127.0.0.1:1/7");
    assert_eq!(again.subscriptions[0].types, ["event"]);
    assert_eq!(open(&again), [(7, vec![4]), (8, vec![])], "what came before it is not wanted");
    assert_eq!(database.write(&[event(50)]).unwrap().0, 5);
    let other = Stored::new(4).open().1;
    assert_ne!(other.epoch, new.epoch);
}

#[test]
fn what_was_settled_is_not_open_again_in_whatever_order() {
    let stored = Stored::new(100);
    let (mut database, _) = stored.open();
    database.write(&[subscription(0, &[]), subscription(1, &[])]).unwrap();
    let events: Vec<_> = (1..=9).map(event).collect();
    database.write(&events).unwrap();
    let mut reopened = |writes: &[Write]| {
        database.write(writes).unwrap();
        let again = stored.killed().1;
        open(&again)
    };
    let all: Vec<u64> = (1..=9).collect();
    // Out of order: 1 is being retried.
    let left = reopened(&[settled(0, 2), settled(0, 4), settled(0, 9)]);
    assert_eq!(left, [(0, vec![1, 3, 5, 6, 7, 8]), (1, all.clone())]);
    let left = reopened(&[settled(0, 1), settled(0, 1), settled(7, 1)]);
    assert_eq!(left, [(0, vec![3, 5, 6, 7, 8]), (1, all)]);
    let rest: Vec<_> = [8, 3, 5, 7, 6].map(|n| settled(0, n)).into();
    assert_eq!(reopened(&rest)[0], (0, vec![]));
    assert_eq!(reopened(&[event(10), Write::End(1)]), [(0, vec![10])]);
    let settled: u64 = count(&stored.killed().0, "settled");
    assert_eq!(settled, 0, "no row is left of what the subscription has passed");
}

#[test]
fn only_what_nobody_needs_is_trimmed() {
    let stored = Stored::new(10);
    let (mut database, _) = stored.open();
    database.write(&[subscription(0, &[]), subscription(1, &[])]).unwrap();
    let needs = |s: u64, n: u64| (s, n) == (0, 5) || (s, n) == (1, 700);
    for first in (1..=1000).step_by(20) {
        let numbers = first..first + 20;
        database.write(&numbers.clone().map(event).collect::<Vec<_>>()).unwrap();
        let both = numbers.flat_map(|n| [(0, n), (1, n)]).filter(|(s, n)| !needs(*s, *n));
        database.write(&both.map(|(s, n)| settled(s, n)).collect::<Vec<_>>()).unwrap();
    }
    let (killed, again) = stored.killed();
    assert!(count(&killed, "events") < 300, "{}", count(&killed, "events"));
    assert_eq!(open(&again), [(0, vec![5]), (1, vec![700])]);
    let kept: Vec<u64> = [5, 700].into_iter().chain(991..=1000).collect();
    assert_eq!((numbers(&again), again.trimmed), (kept, 990));
    database.write(&[settled(0, 5), Write::End(1)]).unwrap();
    for first in (1001..=1600).step_by(20) {
        let numbers = first..first + 20;
        let earlier = numbers.clone().map(|n| settled(0, n - 20));
        database.write(&earlier.chain(numbers.map(event)).collect::<Vec<_>>()).unwrap();
    }
    let again = stored.killed().1;
    let kept: Vec<u64> = (1581..=1600).collect();
    assert_eq!((numbers(&again), open(&again)), (kept.clone(), vec![(0, kept)]));
}

#[test]
fn a_lost_settlement_is_delivered_once_more_and_no_event_is_lost() {
    let stored = Stored::new(4);
    let (mut database, _) = stored.open();
    database.write(&[subscription(0, &[]), event(1), event(2)]).unwrap();
    pages(&database, 1);
    let error = database.write(&[settled(0, 1), large(3)]).unwrap_err();
    assert!(error.full, "{error:?}");
    assert_eq!(open(&stored.killed().1), [(0, vec![1, 2])]);
    // It is written with the next commit.
    pages(&database, 1 << 20);
    database.write(&[event(3)]).unwrap();
    assert_eq!(open(&stored.killed().1), [(0, vec![2, 3])]);
}

fn large(id: u64) -> Write {
    Write::Event { id: id.to_string(), kind: "event".to_owned(), body: vec![b'x'; 1 << 20].into() }
}

#[test]
fn a_full_disk_keeps_what_it_has_reported_and_goes_on_with_room() {
    let stored = Stored::new(4);
    let (mut database, _) = stored.open();
    database.write(&[subscription(0, &[]), event(1)]).unwrap();
    pages(&database, 1);
    let error = database.write(&[event(2), subscription(1, &[]), large(3)]).unwrap_err();
    assert!(error.full && error.message.contains("/s: its disk is full: free some"), "{error:?}");
    assert_eq!(numbers(&stored.killed().1), [1]);
    pages(&database, 1 << 20);
    assert_eq!(database.write(&[event(4)]).unwrap().0, 2, "its number is given to the next one");
    assert_eq!(open(&stored.killed().1), [(0, vec![1, 2])]);
}

#[test]
fn a_file_that_is_no_store_of_ours_is_refused_and_left_as_it_is() {
    let stored = Stored::new(4);
    let path = stored.0.path().join("s");
    std::fs::write(&path, "x".repeat(5000)).unwrap();
    assert!(stored.error().contains("/s: not a store, and left as it is: name another file"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "x".repeat(5000));

    std::fs::remove_file(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(other);
    let before = std::fs::read(&path).unwrap();
    assert!(stored.error().contains("/s: a database of another program"), "{}", stored.error());
    assert!(std::fs::read(&path).unwrap() == before);

    std::fs::remove_file(&path).unwrap();
    drop(stored.open());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 9).unwrap();
    drop(newer);
    let error = stored.error();
    assert!(error.contains("has version 9, and this pushbench reads version 1"), "{error}");
}

#[test]
fn what_cannot_be_opened_says_why() {
    let stored = Stored::new(4);
    let at = |path: &str| Database::open(&stored.0.path().join(path), 4).err().unwrap().to_string();
    let missing = at("no/s");
    assert!(
        missing.starts_with("--store ") && missing.contains("/no/s: No such file"),
        "{missing}"
    );
    assert!(missing.contains("make the directory first"), "{missing}");
    assert!(at("").contains("Is a directory (os error 21); name a file in it"), "{}", at(""));
    let (database, _) = stored.open();
    let locked = stored.error();
    assert!(locked.contains("/s: another publisher uses it: end that one"), "{locked}");
    drop(database);
    drop(stored.open());
}

#[tokio::test]
async fn reports_come_in_the_order_of_the_log_and_settlements_wait_for_none() {
    let stored = Stored::new(4);
    let path = stored.0.path().join("s");
    let (store, _) = Store::open(&path, 1000).unwrap();
    let reported = Arc::new(Mutex::new(Vec::new()));
    let (last, ended) = tokio::sync::oneshot::channel();
    let mut last = Some(last);
    for id in 1..=500 {
        let (reported, last) = (reported.clone(), (id == 500).then(|| last.take().unwrap()));
        store.keep(event(id), move |number| {
            reported.lock().unwrap().push(number.unwrap());
            last.into_iter().for_each(|last| last.send(()).unwrap());
        });
        store.note(settled(0, id));
    }
    ended.await.unwrap();
    assert_eq!(*reported.lock().unwrap(), (1..=500).collect::<Vec<u64>>());
    let (count, sum, longest) = store.sync_times();
    assert!((1..500).contains(&count), "committed in groups: {count}");
    assert!(longest > 0 && longest <= sum && sum <= longest * count, "{longest} {sum} {count}");
}
