//! JUnit XML, as Jenkins, GitLab and others show it: a case a judged line.

use crate::{table, text, visible};
use pushbench_analysis::compare::evidence::{Evidence, PointEvidence};
use pushbench_analysis::compare::expect::{Expected, Outcome};
use pushbench_analysis::compare::{Comparison, Point, Report, Verdict};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io;
use std::time::Duration;

/// How a case came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It was decided.
    Passed,
    /// It is undecided, for this reason.
    Skipped(String),
    /// It does not meet the expectation.
    Failed(String),
    /// There is nothing to judge.
    Errored(String),
}

/// One judged line. Names hold no figures, so that a case is found again in the next run.
#[derive(Debug, Clone)]
pub struct Case {
    /// What was judged.
    pub name: String,
    /// How it came out.
    pub ending: Ending,
}

/// The cases of one setting.
#[derive(Debug, Clone)]
pub struct Suite {
    /// `pushbench.ingest`
    pub class: String,
    /// Its setting, empty without a sweep.
    pub setting: String,
    /// Names and values to know.
    pub properties: Vec<(String, String)>,
    /// When it began, UTC.
    pub started: String,
    /// How long it took.
    pub took: Duration,
    /// The cases.
    pub cases: Vec<Case>,
    /// What people read.
    pub output: String,
}

/// A suite a point.
pub fn render(report: &Report, evidence: &Evidence<'_>) -> String {
    let points = report.points.iter().zip(&evidence.points);
    let suites: Vec<Suite> =
        points.map(|(point, found)| suite(report, evidence, point, found)).collect();
    document(&suites)
}

fn suite(
    report: &Report,
    evidence: &Evidence<'_>,
    point: &Point,
    found: &PointEvidence<'_>,
) -> Suite {
    let mut cases = vec![Case {
        name: "the run is complete".to_owned(),
        ending: table::incomplete(report).map_or(Ending::Passed, Ending::Errored),
    }];
    cases.extend(point.comparisons.iter().map(compared));
    cases.extend(point.expectations.iter().map(expected));
    let property = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
    let mut properties = vec![("seed".to_owned(), report.seed.to_string())];
    properties.extend(evidence.machine.iter().map(property));
    Suite {
        class: format!("pushbench.{}", report.scenario),
        setting: table::setting(point),
        properties,
        started: evidence.started.to_owned(),
        took: found.took,
        cases,
        output: text::point(point, text::Look::PLAIN),
    }
}

/// Every decided comparison passes, better or worse: a run is not a gate.
fn compared(c: &Comparison) -> Case {
    let why = |word: &str| match &c.why {
        Some(why) => format!("{word}: {why}"),
        None => format!("{word}: {}", table::difference(c)),
    };
    Case {
        name: format!("{} of {} against {}", c.metric, c.candidate, c.baseline),
        ending: match c.verdict {
            Verdict::Better | Verdict::Worse | Verdict::Equivalent => Ending::Passed,
            Verdict::Inconclusive => Ending::Skipped(why("cannot tell")),
            Verdict::Overloaded => Ending::Skipped(why("overloaded")),
            Verdict::Invalid => Ending::Errored(why("invalid")),
        },
    }
}

fn expected(e: &Expected) -> Case {
    let value = e.value.map_or("not measured".to_owned(), |v| v.to_string());
    let text = format!("{value}, limit {}", e.limit);
    Case {
        name: format!("expect {} of {}", e.what, e.arm),
        ending: match e.outcome {
            Outcome::Met => Ending::Passed,
            Outcome::Failed => Ending::Failed(text),
            Outcome::CannotTell => Ending::Skipped(format!("cannot be judged: {text}")),
        },
    }
}

/// The document. It keeps to the schema of Jenkins, which a test has checked by xmllint, and has the
/// elements and attributes that Ant's wants besides.
pub fn document(suites: &[Suite]) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    write(&mut writer, suites).expect("writing to memory does not fail");
    let mut text = String::from_utf8(writer.into_inner()).expect("it was made of text");
    text.push('\n');
    text
}

type Xml = Writer<Vec<u8>>;

fn write(xml: &mut Xml, suites: &[Suite]) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuites").write_inner_content(|xml| {
        suites.iter().enumerate().try_for_each(|(id, suite)| write_suite(xml, id, suite))
    })?;
    Ok(())
}

fn write_suite(xml: &mut Xml, id: usize, suite: &Suite) -> io::Result<()> {
    let count = |of: fn(&Ending) -> bool| suite.cases.iter().filter(|c| of(&c.ending)).count();
    let name = match suite.setting.is_empty() {
        true => suite.class.clone(),
        false => format!("{}: {}", suite.class, suite.setting),
    };
    // Ant's schema wants seconds and no zone.
    let timestamp: String = suite.started.chars().take("2026-01-01T00:00:00".len()).collect();
    let attributes = [
        ("name", visible::line(&name)),
        ("id", id.to_string()),
        ("package", visible::line(&suite.class)),
        ("hostname", "localhost".to_owned()),
        ("timestamp", timestamp),
        ("tests", suite.cases.len().to_string()),
        ("failures", count(|e| matches!(e, Ending::Failed(_))).to_string()),
        ("errors", count(|e| matches!(e, Ending::Errored(_))).to_string()),
        ("skipped", count(|e| matches!(e, Ending::Skipped(_))).to_string()),
        ("time", format!("{:.3}", suite.took.as_secs_f64())),
    ];
    let element = xml.create_element("testsuite");
    let element = element.with_attributes(attributes.iter().map(|(n, v)| (*n, v.as_str())));
    element.write_inner_content(|xml| {
        xml.create_element("properties").write_inner_content(|xml| {
            suite.properties.iter().try_for_each(|(name, value)| {
                let value = visible::line(value);
                let property = xml.create_element("property");
                let property = property.with_attribute(("name", name.as_str()));
                property.with_attribute(("value", value.as_str())).write_empty().map(|_| ())
            })
        })?;
        suite.cases.iter().try_for_each(|case| write_case(xml, suite, case))?;
        xml.create_element("system-out")
            .write_text_content(BytesText::new(&visible::visible(&suite.output)))?;
        xml.create_element("system-err").write_text_content(BytesText::new(""))?;
        Ok(())
    })?;
    Ok(())
}

fn write_case(xml: &mut Xml, suite: &Suite, case: &Case) -> io::Result<()> {
    let name = match suite.setting.is_empty() {
        true => case.name.clone(),
        false => format!("{}: {}", suite.setting, case.name),
    };
    let (name, class) = (visible::line(&name), visible::line(&suite.class));
    // A line of a table takes no time of its own.
    let attributes = [("classname", class.as_str()), ("name", &name), ("time", "0.000")];
    let element = xml.create_element("testcase").with_attributes(attributes);
    let (tag, text) = match &case.ending {
        Ending::Passed => return element.write_empty().map(|_| ()),
        Ending::Skipped(text) => ("skipped", text),
        Ending::Failed(text) => ("failure", text),
        Ending::Errored(text) => ("error", text),
    };
    let message = visible::line(text);
    let kind = if tag == "failure" { "expectation" } else { tag };
    element.write_inner_content(|xml| {
        let ending = xml.create_element(tag).with_attribute(("message", message.as_str()));
        // Ant's schema knows no type of what is skipped.
        let ending = if tag == "skipped" { ending } else { ending.with_attribute(("type", kind)) };
        ending.write_empty().map(|_| ())
    })?;
    Ok(())
}
