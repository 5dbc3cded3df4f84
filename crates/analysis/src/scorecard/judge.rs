//! From the record to answers, and from answers to verdicts on claims.

use crate::advice::{Duties, duties};
use crate::compare::FEWEST_BLOCKS;
use crate::scorecard::measured::EQUIVALENT;
use crate::scorecard::questions::{self, FACTORS, Question};
use crate::scorecard::{Card, Factor, Line, Stance, Verdict};
use crate::stats;
use pushbench_core::reach::ReachPath;
use pushbench_core::record::ease::{Ease, StackEase};
use pushbench_core::record::metrics::{self, Unit};
use pushbench_core::scorecard::{CardRecord, Compared, Measurement, Passage, Role};
use pushbench_core::transport::Transport;
use pushbench_core::units;
use pushbench_core::workload::Workload;

/// No question is about these.
const NOT_MEASURED: [&str; 6] = [
    "HTTP/3, WebTransport, gRPC",
    "brokers and mobile push services",
    "batteries of mobile devices",
    "one more core for the target: give it one with --cpus in pushbench run saturate, and compare both runs",
    "the time that people take to write, test and operate either",
    "programs other than those of the card: a claim about a transport is only tried on them",
];

/// The workload whose duties are counted: a sender that is known, and an event that is not lost.
const USUAL: &str = r#"
name = "usual"
[events]
rate = 10
payload_bytes = 512
[receivers]
count = 100
where = "public-server"
[need]
freshness = "1s"
guarantee = "at-least-once"
[security]
tls = true
sender = "signed"
"#;

/// An answer, or what was to be found and why it was not.
type Answer = Result<Line, (String, String)>;

/// Judges a card.
pub fn judge(record: CardRecord) -> Card {
    let duties = usual_duties();
    let factors = FACTORS.iter().map(|factor| factor_of(factor, &record, &duties)).collect();
    Card { factors, duties, not_measured: NOT_MEASURED.to_vec(), record }
}

fn usual_duties() -> Vec<Duties> {
    // The text is a constant, and a test reads it.
    let Ok(workload) = Workload::parse("usual", USUAL) else { return Vec::new() };
    [Transport::Webhook, Transport::Websocket].map(|t| duties::of(t, &workload)).to_vec()
}

fn factor_of(factor: &questions::Factor, record: &CardRecord, duties: &[Duties]) -> Factor {
    let answers = factor.questions.iter().flat_map(|q| answers(q, record, duties));
    let (lines, missing): (Vec<Answer>, Vec<Answer>) = answers.partition(Result::is_ok);
    let because: Vec<Line> = lines.into_iter().flatten().collect();
    // Questions that lack an answer for one reason are told together.
    let mut not_measured: Vec<(Vec<String>, String)> = Vec::new();
    for (what, why) in missing.into_iter().filter_map(Result::err) {
        match not_measured.iter_mut().find(|(_, known)| *known == why) {
            Some((all, _)) if all.contains(&what) => {}
            Some((all, _)) => all.push(what),
            None => not_measured.push((vec![what], why)),
        }
    }
    let not_measured = not_measured.into_iter();
    let not_measured =
        not_measured.map(|(all, why)| format!("{}: {why}", all.join("; "))).collect();
    let count = |stance| because.iter().filter(|line| line.claim == stance).count();
    let (agree, disagree) = (count(Stance::Agrees), count(Stance::Disagrees));
    let too_small = count(Stance::TooSmall);
    let verdict = match (agree, disagree + too_small) {
        (0, 0) => Verdict::NotMeasured,
        (_, 0) => Verdict::BorneOut,
        (0, _) => Verdict::Contradicted,
        _ => Verdict::Depends,
    };
    Factor {
        factor: factor.name,
        question: factor.question,
        claim: factor.claim,
        verdict,
        agree,
        disagree,
        too_small,
        cannot_tell: count(Stance::CannotTell),
        because,
        not_measured,
    }
}

fn answers(question: &Question, record: &CardRecord, duties: &[Duties]) -> Vec<Answer> {
    match *question {
        Question::Compared { of, metric, called, roles, favours } => {
            vec![compared(record, of, metric, called, roles, favours)]
        }
        Question::Passage { path, favours } => passages(record, path, favours),
        Question::FirstEvent => vec![first_event(record)],
        Question::LinesOfCode => of_code(record, "lines of code", |ease| ease.lines_of_code),
        Question::Packages => {
            of_code(record, "packages", |ease| ease.dependencies.map(|packages| packages.all))
        }
        Question::Duties => of_duties(duties),
    }
}

fn measurement<'a>(
    record: &'a CardRecord,
    name: &str,
) -> Result<&'a Measurement, (String, String)> {
    let found = record.measurements.iter().find(|m| m.name == name);
    found.ok_or_else(|| (name.to_owned(), "the card was cut short before".to_owned()))
}

/// Why a measurement has no answer.
fn missing(m: &Measurement, what: &str) -> (String, String) {
    let why = m.why_not.as_deref().unwrap_or("the run has no such figure");
    (format!("{what}, {}", m.conditions), why.to_owned())
}

fn label(m: &Measurement, role: Role) -> String {
    m.arms.get(&role).cloned().unwrap_or_default()
}

/// Where a figure is from, where that is not this machine and program.
fn elsewhere(m: &Measurement) -> String {
    match &m.source {
        Some(source) if !source.differs.is_empty() => {
            format!(" (measured elsewhere, {}: {})", source.dir, source.differs.join("; "))
        }
        _ => String::new(),
    }
}

fn run_of(m: &Measurement) -> Option<String> {
    m.source.as_ref().map(|source| source.dir.clone())
}

/// A value as it is written.
fn value(metric: &str, values: &[f64]) -> String {
    let Some(mean) = stats::mean(values) else { return "no value".to_owned() };
    match metrics::named(metric).map(|m| m.unit) {
        Some(Unit::Nanoseconds) => units::nanos_text(mean),
        Some(Unit::Bytes) => units::bytes(mean),
        Some(Unit::PerSecond) | None => units::rate(mean),
        Some(Unit::Share | Unit::Count) => units::count(mean),
    }
}

/// A latency is compared by its difference, everything else by its ratio.
fn is_latency(metric: &str) -> bool {
    metrics::named(metric).is_some_and(|m| matches!(m.family, metrics::Family::Latency { .. }))
}

fn compared(
    record: &CardRecord,
    of: &str,
    metric: &str,
    called: &str,
    roles: [Role; 2],
    favours: Option<Role>,
) -> Answer {
    let m = measurement(record, of).map_err(|(_, why)| (called.to_owned(), why))?;
    let same = |c: &&Compared| c.metric == metric && c.roles == roles;
    let found = m.compared.iter().find(same).ok_or_else(|| missing(m, called))?;
    let arms: Vec<[String; 2]> = roles
        .iter()
        .zip(&found.values)
        .map(|(role, values)| [label(m, *role), value(metric, values)])
        .collect();
    // Where one side has nothing there is no ratio.
    let timed = metrics::named(metric).is_some_and(|m| m.unit == Unit::Nanoseconds);
    let (unit, interval) = match is_latency(metric) || found.ratio.is_none() && timed {
        true => ("ns", found.difference),
        false => ("ratio", found.ratio),
    };
    let difference = match (unit, interval) {
        (_, None) => "no interval".to_owned(),
        ("ns", Some([estimate, low, high])) => units::nanos_interval(estimate, [low, high]),
        (_, Some([estimate, low, high])) => {
            format!("{} [{low:.2}, {high:.2}]", units::ratio(estimate))
        }
    };
    let claim =
        favours.map_or(Stance::NoClaim, |favours| stance(found, roles, favours, &arms[1][0]));
    let bounded = found.verdict == "inconclusive" && claim != Stance::TooSmall;
    let why = found.why.clone().filter(|_| bounded).map(|why| {
        // It speaks of the ratio, also where the difference is shown.
        why.replace("its own interval excludes 1, but", "it is certain by itself, but not where")
    });
    let sentence = format!(
        "{}: {called} {} over {}, {} over {}: {difference} ({}){}",
        m.conditions,
        arms[0][1],
        arms[0][0],
        arms[1][1],
        arms[1][0],
        reading(claim, why.as_deref()),
        elsewhere(m)
    );
    Ok(Line {
        sentence,
        what: called.to_owned(),
        conditions: m.conditions.clone(),
        arms,
        figure: interval.map(|[estimate, ..]| estimate),
        ci95: interval.map(|[_, low, high]| [low, high]),
        unit: interval.map(|_| unit),
        difference,
        claim,
        why,
        run: run_of(m),
    })
}

/// What a comparison says of a claim that favours one of its arms.
fn stance(found: &Compared, roles: [Role; 2], favours: Role, candidate: &str) -> Stance {
    let enough = found.values[0].len() >= FEWEST_BLOCKS;
    let decided = match found.verdict.as_str() {
        "better" => Some(roles[1]),
        "worse" => Some(roles[0]),
        "equivalent" => return Stance::TooSmall,
        "inconclusive" if enough => bounded(found, roles, candidate),
        _ => None,
    };
    match decided {
        // Where the blocks suffice, an interval inside the region that does not matter decides that, whichever way it
        // points.
        None if !found.matters && enough => Stance::TooSmall,
        None => Stance::CannotTell,
        Some(_) if !found.matters => Stance::TooSmall,
        Some(better) if better == favours => Stance::Agrees,
        Some(_) => Stance::Disagrees,
    }
}

/// Which arm is better where the run claims no difference, although its figures have only one direction.
fn bounded(found: &Compared, roles: [Role; 2], candidate: &str) -> Option<Role> {
    let more_is_better = metrics::named(&found.metric).is_none_or(|metric| metric.more_is_better);
    let side = |more: bool| if more == more_is_better { roles[1] } else { roles[0] };
    let why = found.why.as_deref().unwrap_or_default();
    match (found.ratio, found.difference) {
        // Nothing at all on one side, and certainly something on the other.
        (None, Some([_, low, high])) if low > 0.0 || high < 0.0 => Some(side(low > 0.0)),
        // The one that carries more carries at least this much: the driver was its limit.
        (Some([_, low, _]), _)
            if low > 1.0 + EQUIVALENT
                && why.starts_with(candidate)
                && why.contains("at least this much") =>
        {
            Some(side(true))
        }
        _ => None,
    }
}

/// One answer for plain connections, and one for TLS where it was tried.
fn passages(record: &CardRecord, path: &str, favours: Option<Role>) -> Vec<Answer> {
    let about = ReachPath::named(path).map_or(path, |path| path.about);
    let m = match measurement(record, "reach") {
        Ok(m) => m,
        Err(why) => return vec![Err(why)],
    };
    if m.passages.is_empty() {
        return vec![Err(missing(m, "the paths"))];
    }
    let of = |role: Role, tls: bool| {
        m.passages.iter().find(|p| p.path == path && p.role == role && p.tls == tls)
    };
    let answer = |tls: bool| {
        let both = [of(Role::Webhook, tls)?, of(Role::Websocket, tls)?];
        Some(passage(m, about, both, favours))
    };
    [false, true].into_iter().filter_map(answer).collect()
}

fn passage(m: &Measurement, about: &str, both: [&Passage; 2], favours: Option<Role>) -> Answer {
    let over = if both[0].tls { ", over TLS" } else { "" };
    if let Some(untried) = both.iter().find(|p| p.through.is_none()) {
        return Err((format!("{about}{over}"), untried.why.clone()));
    }
    let word = |p: &Passage| match (p.through, p.survives_silence) {
        (Some(true), Some(false)) => "gets through, and is cut off by a silence",
        (Some(true), _) => "gets through",
        _ => "does not get through",
    };
    let tls = |label: String| match both[0].tls {
        true => label.replacen('@', "+tls@", 1),
        false => label,
    };
    let arms = both.map(|p| [tls(label(m, p.role)), word(p).to_owned()]).to_vec();
    let through = |role: Role| both.iter().any(|p| p.role == role && p.through == Some(true));
    let other = |role: Role| if role == Role::Webhook { Role::Websocket } else { Role::Webhook };
    let claim = match favours {
        None => Stance::NoClaim,
        Some(role) if through(role) && !through(other(role)) => Stance::Agrees,
        Some(_) => Stance::Disagrees,
    };
    let why = cures_of(m, &both);
    let sentence = format!(
        "{about}{over}: {} {}, {} {} ({}){}",
        arms[0][0],
        arms[0][1],
        arms[1][0],
        arms[1][1],
        reading(claim, why.as_deref()),
        elsewhere(m)
    );
    Ok(Line {
        sentence,
        what: "passage".to_owned(),
        conditions: format!("{about}{over}"),
        arms,
        figure: None,
        ci95: None,
        unit: None,
        difference: String::new(),
        claim,
        why,
        run: run_of(m),
    })
}

/// What lets those through that do not get through, or are cut off.
fn cures_of(m: &Measurement, both: &[&Passage; 2]) -> Option<String> {
    let lacks = |p: &&&Passage| p.through != Some(true) || p.survives_silence == Some(false);
    let cure = |p: &&Passage| Some(format!("{} does with {}", label(m, p.role), p.cure.as_ref()?));
    let cures: Vec<String> = both.iter().filter(lacks).filter_map(cure).collect();
    (!cures.is_empty()).then(|| cures.join("; "))
}

/// An answer in a word, with its reason.
fn reading(claim: Stance, why: Option<&str>) -> String {
    match why {
        Some(why) => format!("{}; {why}", claim.name()),
        None => claim.name().to_owned(),
    }
}

fn first_event(record: &CardRecord) -> Answer {
    let what = "time from subscribing to the first event";
    let m = measurement(record, "reach")?;
    let of = |role: Role| {
        let direct = m.passages.iter().find(|p| p.path == "direct" && p.role == role && !p.tls);
        let ns = direct.and_then(|p| p.first_event_ns).map(|ns| ns as f64);
        ns.map(|ns| (ns, [label(m, role), units::nanos_text(ns)]))
    };
    let both = of(Role::Webhook).zip(of(Role::Websocket)).ok_or_else(|| missing(m, what))?;
    let ((webhook, first), (websocket, second)) = both;
    let sentence = format!(
        "{what}: {} for {}, {} for {} (one trial each){}",
        first[1],
        first[0],
        second[1],
        second[0],
        elsewhere(m)
    );
    Ok(Line {
        sentence,
        what: what.to_owned(),
        conditions: "nothing in between, one trial each".to_owned(),
        arms: vec![first, second],
        figure: Some(websocket - webhook),
        ci95: None,
        unit: Some("ns"),
        difference: String::new(),
        claim: Stance::NoClaim,
        why: None,
        run: run_of(m),
    })
}

/// Counts of a webhook and a WebSocket, which are exact.
fn counted(what: &str, conditions: &str, names: [String; 2], counts: [usize; 2]) -> Line {
    let [webhook, websocket] = counts.map(|count| count as f64);
    let claim = match () {
        () if websocket > webhook * (1.0 + EQUIVALENT) => Stance::Agrees,
        () if webhook > websocket * (1.0 + EQUIVALENT) => Stance::Disagrees,
        () => Stance::TooSmall,
    };
    let ratio = (webhook > 0.0).then_some(websocket / webhook);
    let difference = ratio.map_or(String::new(), units::ratio);
    let sentence = format!(
        "{conditions}: {} {what} for {}, {} for {} ({})",
        counts[0],
        names[0],
        counts[1],
        names[1],
        claim.name()
    );
    Line {
        sentence,
        what: what.to_owned(),
        conditions: conditions.to_owned(),
        arms: names.into_iter().zip(counts).map(|(name, n)| [name, n.to_string()]).collect(),
        figure: ratio,
        ci95: None,
        unit: ratio.map(|_| "ratio"),
        difference,
        claim,
        why: None,
        run: None,
    }
}

fn of_code(record: &CardRecord, what: &str, count: fn(&Ease) -> Option<usize>) -> Vec<Answer> {
    let of = |stack: &StackEase| {
        let both =
            stack.webhook.as_ref().and_then(count).zip(stack.websocket.as_ref().and_then(count));
        let names = match stack.own {
            true => [record.webhook.clone(), record.websocket.clone()],
            false => ["webhook", "websocket"].map(|t| format!("{t}@{}", stack.stack)),
        };
        match both {
            Some((webhook, websocket)) => {
                Ok(counted(what, &stack.stack, names, [webhook, websocket]))
            }
            None => Err((
                format!("{what} of {}", stack.stack),
                "the description of the target names no files".to_owned(),
            )),
        }
    };
    record.ease.iter().map(of).collect()
}

fn of_duties(duties: &[Duties]) -> Vec<Answer> {
    let [webhook, websocket] = duties else { return Vec::new() };
    let all = |d: &Duties| d.sender.len() + d.receiver.len();
    let names = [webhook.transport.to_owned(), websocket.transport.to_owned()];
    let conditions = "at least once, sender known";
    vec![Ok(counted("duties of both sides", conditions, names, [all(webhook), all(websocket)]))]
}
