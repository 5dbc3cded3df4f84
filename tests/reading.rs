//! What a run that is read back keeps in memory: what was recorded, not room for all that could have been.

use pushbench_host::results_store;
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are in use.
static USED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: everything is passed on to the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        USED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_stored_run_takes_little_more_than_its_files() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/in-flight-sweep");
    let file = std::fs::metadata(dir.join("trials.jsonl")).unwrap().len() as usize;
    // What is read once and kept is not the run's.
    drop(results_store::read(&dir).unwrap());
    let before = USED.load(Ordering::Relaxed);
    let run = results_store::read(&dir).unwrap();
    let used = USED.load(Ordering::Relaxed) - before;
    assert!(!run.trials.is_empty());
    // Histograms of a run of 1.5 MB with room for every value take 170 times the file.
    assert!(used < 20 * file, "{used} bytes of a file of {file}");
}
