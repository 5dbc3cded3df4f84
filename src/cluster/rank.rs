//! Which shard of how many this process is: by options, or by what an engine sets for each of its tasks.

use pushbench_core::error::{Error, Result};

/// Engines, with the variables of a task's rank and of the number of tasks; that of an indexed job of Kubernetes is not
/// set by itself.
const ENGINES: [(&str, &str, &str); 3] = [
    ("Slurm", "SLURM_PROCID", "SLURM_NTASKS"),
    ("Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("Kubernetes", "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"),
];

/// Rank and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// From 0.
    pub rank: usize,
    /// Shards in all.
    pub size: usize,
}

/// Reads them: `rank` and `size` are options, which come before the environment.
pub fn read(
    rank: Option<usize>,
    size: Option<usize>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Rank> {
    let number = |name: &str| -> Result<Option<usize>> {
        let Some(text) = variable(name) else { return Ok(None) };
        let wrong = || Error::usage(format!("{name}={text}: this is no whole number"));
        text.trim().parse().map(Some).map_err(|_| wrong())
    };
    let mut found = (rank, size);
    for (_, of_rank, of_size) in ENGINES {
        if found.0.is_none()
            && let Some(rank) = number(of_rank)?
        {
            found = (Some(rank), found.1.or(number(of_size)?));
        }
    }
    match found {
        (Some(rank), Some(size)) if rank < size => Ok(Rank { rank, size }),
        (Some(rank), Some(size)) => Err(Error::usage(format!(
            "rank {rank} of {size}: ranks begin with 0, so the last one is {}",
            size.saturating_sub(1)
        ))),
        (Some(_), None) => Err(Error::usage(
            "the rank is known and the number of shards is not: add --size N".to_owned(),
        )),
        (None, _) => {
            let names = ENGINES.map(|(engine, of_rank, _)| format!("{of_rank} ({engine})"));
            Err(Error::usage(format!(
                "which shard is this? Add --rank R --size N; without them one of {} is read",
                names.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        options: (Option<usize>, Option<usize>),
        variables: &[(&str, &str)],
    ) -> std::result::Result<(usize, usize), String> {
        let variable = |name: &str| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        };
        let read = read(options.0, options.1, &variable);
        read.map(|r| (r.rank, r.size)).map_err(|e| e.to_string())
    }

    #[test]
    fn options_come_before_the_engine() {
        let slurm = [("SLURM_PROCID", "2"), ("SLURM_NTASKS", "3")];
        assert_eq!(of((None, None), &slurm), Ok((2, 3)));
        assert_eq!(of((Some(0), Some(2)), &slurm), Ok((0, 2)));
        assert_eq!(
            of((None, None), &[("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "1")]),
            Ok((0, 1))
        );
        assert_eq!(of((None, Some(4)), &[("JOB_COMPLETION_INDEX", "3")]), Ok((3, 4)));
    }

    #[test]
    fn what_is_missing_or_wrong_is_said() {
        for (options, variables, says) in [
            ((None, None), vec![], "--rank R --size N"),
            ((Some(1), None), vec![], "--size N"),
            ((Some(3), Some(3)), vec![], "the last one is 2"),
            ((None, None), vec![("SLURM_PROCID", "x")], "SLURM_PROCID=x"),
        ] {
            let error = of(options, &variables).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
