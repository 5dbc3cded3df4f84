//! Instructions that the driver spends on an event, function by function, beside the committed ones.
//!
//! A count does not depend on the machine's mood, so CI can fail on a few per cent. valgrind's callgrind
//! counts what runs inside [`counted::what_is_counted`], in user space, in a process of its own for each
//! function.
//!
//! `cargo bench -p instructions` compares and ends with 1 where a function takes 5 % more than in
//! `baseline.json`; `-- --write` makes that file again. Without valgrind it says so and ends with 0, with 1
//! where `CI=true`.

mod baseline;
mod counted;
#[path = "../overhead/setting.rs"]
mod setting;
mod valgrind;

use baseline::{ALLOWED, Baseline, Verdict};
use counted::{ALONE, FUNCTIONS, OF_SEVERAL, PLAIN, WITH_MESSAGES};
use std::process::ExitCode;

/// Counts one function: what the process under valgrind is asked for.
const COUNT: &str = "--count";
/// What hello, wrap and answer may add to an event of the same bytes.
const MESSAGES_ALLOWED: f64 = 0.03;
/// What an event may take more in a run on several machines.
const SHARDS_ALLOWED: f64 = 0.01;
/// Makes the baseline again.
const WRITE: &str = "--write";

fn main() -> ExitCode {
    // cargo adds --bench.
    let words: Vec<String> = std::env::args().skip(1).filter(|w| w != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [COUNT, name, calls] => counted::run(name, calls.parse().expect("a number of calls")),
        [] => return ended(compare()),
        [WRITE] => return ended(write()),
        _ => return ended(Err(format!("it takes nothing or {WRITE}, not {words:?}"))),
    }
    ExitCode::SUCCESS
}

fn ended(result: Result<bool, String>) -> ExitCode {
    match result {
        Ok(fine) => ExitCode::from(u8::from(!fine)),
        Err(why) => {
            eprintln!("instructions: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Counts every function and puts it beside the baseline; false when one takes more.
fn compare() -> Result<bool, String> {
    if let Err(why) = valgrind::version() {
        println!(
            "instructions: not counted: {why}; install it (Debian, Ubuntu: apt install valgrind)"
        );
        return Ok(std::env::var("CI").as_deref() != Ok("true"));
    }
    let (then, now) = (Baseline::read()?, measured()?);
    println!("{:<44} {:>10} {:>10} {:>8}", "instructions a call", "baseline", "now", "change");
    let mut more = Vec::new();
    for (name, count) in &now.per_call {
        let before = then.per_call.get(name);
        let verdict = Verdict::of(before.copied(), *count);
        let before = before.map_or("-".to_owned(), |b| format!("{b:.1}"));
        println!("{name:<44} {before:>10} {count:>10.1} {verdict:>8}");
        if verdict.is_more() {
            more.push(name.as_str());
        }
    }
    for (what, then, now) in
        [("compiler", &then.rustc, &now.rustc), ("valgrind", &then.valgrind, &now.valgrind)]
    {
        if then != now {
            println!("Another {what}: the baseline was counted with {then}, this is {now}.");
        }
    }
    let added = now.per_call[WITH_MESSAGES] / now.per_call[PLAIN] - 1.0;
    println!("hello and wrap add {:.1} % (limit {:.0} %)", added * 100.0, MESSAGES_ALLOWED * 100.0);
    if added > MESSAGES_ALLOWED {
        return Ok(false);
    }
    // Of an event that is written and answered: the rest of it does not know of other shards.
    let sharded = (now.per_call[OF_SEVERAL] - now.per_call[ALONE]) / now.per_call[PLAIN];
    println!(
        "one shard of several adds {:.2} % (limit {:.0} %)",
        sharded * 100.0,
        SHARDS_ALLOWED * 100.0
    );
    if sharded > SHARDS_ALLOWED {
        return Ok(false);
    }
    if more.is_empty() {
        println!("No function takes {:.0} % more instructions than the baseline.", ALLOWED * 100.0);
        return Ok(true);
    }
    println!(
        "More than {:.0} % over the baseline: {}. Reduce the count, or give the reason in the commit and \
         write the baseline again: cargo bench -p instructions -- {WRITE}",
        ALLOWED * 100.0,
        more.join(", ")
    );
    Ok(false)
}

fn write() -> Result<bool, String> {
    let now = measured()?;
    now.per_call.iter().for_each(|(name, count)| println!("{name:<44} {count:>10.1}"));
    now.write().map(|()| true)
}

fn measured() -> Result<Baseline, String> {
    let mut per_call = std::collections::BTreeMap::new();
    for function in &FUNCTIONS {
        let count = valgrind::count(function.name, function.calls)?;
        // A tenth is far below what is compared, and keeps the file readable.
        per_call.insert(function.name.to_owned(), (count * 10.0).round() / 10.0);
    }
    Ok(Baseline { rustc: valgrind::rustc()?, valgrind: valgrind::version()?, per_call })
}
