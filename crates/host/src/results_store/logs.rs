//! Names of interval logs: one file for each arm, whatever its target is called.

use pushbench_core::record::records::sha256;

/// Longer labels are shortened: a file name holds 255 bytes.
const LONGEST: usize = 120;

/// The log of an arm. A label of harmless characters is its name; any other has a part of its digest in it,
/// behind a `~` that no label keeps.
pub(super) fn name(label: &str) -> String {
    let plain = plain(label);
    if plain == label && label.len() <= LONGEST {
        return format!("{label}.hlog");
    }
    let stem: String = plain.chars().take(LONGEST / 2).collect();
    format!("{stem}~{}.hlog", &sha256(label)[..16])
}

/// Where versions before this way of naming wrote it, unless several arms shared that file.
pub(super) fn former_name(label: &str, others: &[&str]) -> Option<String> {
    let plain = plain(label);
    let shared = others
        .iter()
        .any(|other| *other != label && crate::results_store::logs::plain(other) == plain);
    (!shared).then(|| format!("{plain}.hlog"))
}

fn plain(label: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "@#-_.".contains(c);
    label.chars().map(|c| if harmless(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_labels_keep_their_names_and_others_differ() {
        assert_eq!(name("webhook@builtin#2"), "webhook@builtin#2.hlog");
        let long = |last: &str| format!("webhook@{}{last}", "n".repeat(300));
        let labels = ["webhook@é", "webhook@ü", "webhook@_", &long("a"), &long("b")];
        let names: std::collections::BTreeSet<String> = labels.map(name).into();
        assert_eq!(names.len(), labels.len(), "{names:?}");
    }

    #[test]
    fn a_former_file_is_read_where_it_is_one_arm_s() {
        let both = ["webhook@é", "webhook@ü"];
        assert_eq!(former_name("webhook@é", &both[..1]), Some("webhook@_.hlog".to_owned()));
        assert_eq!(former_name("webhook@é", &both), None);
    }

    proptest! {
        #[test]
        fn a_name_is_one_of_this_directory_and_of_this_label(a in "\\PC{1,200}", b in "\\PC{1,200}") {
            let (first, second) = (name(&a), name(&b));
            prop_assert!(first.len() <= 200 && !first.contains('/') && first != "..");
            prop_assert_eq!(a == b, first == second);
        }
    }
}
