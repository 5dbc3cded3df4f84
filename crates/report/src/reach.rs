//! The matrix of `pushbench reach`: which transport gets through which path.

#[cfg(test)]
pub(crate) mod tests;

use crate::layout::{self, BOLD, Look};
use crate::markdown;
use crate::visible::line;
use pushbench_analysis::reach::{Cell, Matrix};
use pushbench_core::reach::{Header, ReachPath};
use pushbench_core::units::nanos_text;
use std::fmt::Write as _;

/// Columns of a table: as many as fit beside the names of the paths on a terminal of 80 columns.
const COLUMNS: usize = 5;

/// What a table of the matrix shows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown {
    Passage,
    Silence,
    PeerDeath,
}

impl Shown {
    pub(crate) const ALL: [Shown; 3] = [Shown::Passage, Shown::Silence, Shown::PeerDeath];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Shown::Passage => "Gets through, and time to the first event",
            Shown::Silence => "Survives a silence longer than the idle cut-off",
            Shown::PeerDeath => "Time until either side notices a dead peer",
        }
    }

    /// The cell in a few words.
    pub(crate) fn word(self, cell: &Cell) -> String {
        let time = |ns: u64| nanos_text(ns as f64);
        match (self, cell.through) {
            (Shown::Passage, Some(true)) => {
                let first =
                    cell.first_event_ns.map_or(String::new(), |ns| format!(" {}", time(ns)));
                format!("yes{first}")
            }
            (Shown::Passage, Some(false)) => "no".to_owned(),
            (Shown::Passage, None) => "not tried".to_owned(),
            (_, None | Some(false)) => "–".to_owned(),
            (Shown::Silence, _) => match (cell.survives_silence, cell.lost) {
                (None, _) => "–".to_owned(),
                (Some(true), _) => "yes".to_owned(),
                (Some(false), Some(0)) => "cut, nothing lost".to_owned(),
                (Some(false), lost) => format!("no, {} lost", lost.unwrap_or_default()),
            },
            (Shown::PeerDeath, _) => match cell.peer_death_noticed_ns {
                Some(ns) => time(ns),
                None if cell.trials.iter().any(is_death) => "not in time".to_owned(),
                None => "–".to_owned(),
            },
        }
    }
}

fn is_death(trial: &pushbench_core::reach::Attempt) -> bool {
    trial.probe == pushbench_core::reach::Probe::PeerDeath
}

/// The circumstances in two sentences.
pub(crate) fn conditions(header: &Header) -> String {
    let time = |ns: u64| nanos_text(ns as f64);
    let real = header.idle_cutoff_ns as f64 * header.silence_scaled_by;
    format!(
        "Events go from the publisher to a subscriber. The idle cut-off is {} and stands for {} (×{}): time-outs of \
         proxies and publishers are scaled alike. A silence lasts {}. An event that has not arrived after {} is lost. A \
         dead peer is waited for {}.{}",
        time(header.idle_cutoff_ns),
        nanos_text(real),
        header.silence_scaled_by,
        time(header.silence_ns),
        time(header.event_timeout_ns),
        time(header.peer_death_limit_ns),
        if header.complete { "" } else { " The command was stopped before every cell was tried." }
    )
}

/// A reason, and the arms of a path to which it applies.
pub(crate) struct Note {
    pub path: String,
    pub arms: String,
    pub text: String,
}

/// The reasons and cures, those of a path together.
pub(crate) fn notes(matrix: &Matrix) -> Vec<Note> {
    let mut notes: Vec<(&str, Vec<String>, String)> = Vec::new();
    for cell in &matrix.cells {
        let mut text = cell.why.clone();
        if let Some(cure) = &cell.cure {
            let _ = write!(text, "; cure: {cure}");
        }
        if text.is_empty() {
            continue;
        }
        let name = arm_name(matrix, &cell.arm).to_owned();
        match notes.iter_mut().find(|(path, _, known)| *path == cell.path && *known == text) {
            Some((_, arms, _)) => arms.push(name),
            None => notes.push((&cell.path, vec![name], text)),
        }
    }
    let note = |(path, arms, text): (&str, Vec<String>, String)| Note {
        path: path.to_owned(),
        arms: arms.join(", "),
        text,
    };
    notes.into_iter().map(note).collect()
}

/// The name of a column: without the target where all are built in.
pub(crate) fn arm_name<'a>(matrix: &Matrix, arm: &'a str) -> &'a str {
    const BUILTIN: &str = "@builtin";
    match matrix.cells.iter().all(|cell| cell.arm.ends_with(BUILTIN)) {
        true => arm.trim_end_matches(BUILTIN),
        false => arm,
    }
}

/// The names of the paths and of the arms in the order of the cells.
pub(crate) fn axes(matrix: &Matrix) -> (Vec<&str>, Vec<&str>) {
    let (mut paths, mut arms) = (Vec::new(), Vec::new());
    for cell in &matrix.cells {
        if !paths.contains(&cell.path.as_str()) {
            paths.push(cell.path.as_str());
        }
        if !arms.contains(&cell.arm.as_str()) {
            arms.push(cell.arm.as_str());
        }
    }
    (paths, arms)
}

pub(crate) fn find<'a>(matrix: &'a Matrix, path: &str, arm: &str) -> Option<&'a Cell> {
    matrix.cells.iter().find(|cell| cell.path == path && cell.arm == arm)
}

/// The tables of what is shown, each of a few arms: a row a path.
fn grids(matrix: &Matrix, shown: Shown) -> Vec<Vec<Vec<String>>> {
    let (paths, arms) = axes(matrix);
    let table = |arms: &[&str]| {
        let head = arms.iter().map(|arm| line(arm_name(matrix, arm)));
        let mut grid = vec![std::iter::once(String::new()).chain(head).collect::<Vec<_>>()];
        for path in &paths {
            let word =
                |arm: &&str| find(matrix, path, arm).map_or(String::new(), |c| shown.word(c));
            grid.push(std::iter::once(line(path)).chain(arms.iter().map(word)).collect());
        }
        grid
    };
    arms.chunks(COLUMNS).map(table).collect()
}

/// As on the terminal.
pub fn text(matrix: &Matrix, look: Look) -> String {
    let mut out = look.wrap("reach: which transport gets through which path?", 2);
    out.push_str(&look.wrap(&conditions(&matrix.header), 2));
    for shown in Shown::ALL {
        let _ = writeln!(out, "\n{}", look.paint(BOLD, shown.title()));
        let tables = grids(matrix, shown);
        let tables: Vec<String> =
            tables.iter().map(|grid| layout::table(grid, 1, 0, look)).collect();
        out.push_str(&tables.join("\n"));
    }
    let notes = notes(matrix);
    if !notes.is_empty() {
        let _ = writeln!(out, "\n{}", look.paint(BOLD, "Why, and what cures it"));
    }
    for note in notes {
        let text = format!("{}: {}: {}", line(&note.path), line(&note.arms), line(&note.text));
        out.push_str(&look.wrap(&text, 2));
    }
    out
}

/// For a pull request or a design document.
pub fn markdown(matrix: &Matrix) -> String {
    let mut out = "## Which transport gets through which path?\n\n".to_owned();
    let _ = writeln!(out, "{}\n", markdown::paragraph(&conditions(&matrix.header)));
    for shown in Shown::ALL {
        let _ = writeln!(out, "### {}\n", shown.title());
        grids(matrix, shown).iter().for_each(|grid| markdown::grid(&mut out, grid, 1));
    }
    let rows: Vec<Vec<String>> =
        notes(matrix).into_iter().map(|n| vec![n.path, n.arms, n.text]).collect();
    if !rows.is_empty() {
        let head = ["path", "arms", "why, and what cures it"].map(str::to_owned).to_vec();
        let _ = writeln!(out, "### Why, and what cures it\n");
        markdown::grid(&mut out, &[vec![head], rows].concat(), 3);
    }
    let (paths, _) = axes(matrix);
    let _ = writeln!(out, "### Paths\n");
    for path in paths {
        let _ = writeln!(out, "- {}: {}", markdown::escape(path), markdown::escape(about(path)));
    }
    out
}

/// What a path is.
pub(crate) fn about(path: &str) -> &'static str {
    ReachPath::named(path).map_or("a path of another version", |path| path.about)
}

/// The same as data, with the record: schema 1.
pub fn json(matrix: &Matrix) -> String {
    crate::visible::json(&serde_json::to_string_pretty(matrix).expect("figures are JSON")) + "\n"
}
