//! The counts of one route.

use std::sync::{Arc, OnceLock};

use actix_web_sse::observe::{
    AuthMethod, CloseReason, CorsVerdict, RefusalMode, RefusalReason, Resume,
};

use crate::{
    catalogue::DURATION_SECONDS,
    cells::{Counter, Histogram},
    closes::ImmediateClose,
    worker::{Threads, bounds},
};

/// A counter for each value of a closed vocabulary.
#[derive(Debug)]
pub(crate) struct PerValue(Box<[Counter]>);

impl PerValue {
    fn new(values: usize) -> Self {
        Self((0..values).map(|_| Counter::default()).collect())
    }

    pub(crate) fn at<T: PartialEq>(&self, all: &[T], value: &T) -> Option<&Counter> {
        let index = all.iter().position(|known| known == value)?;
        self.0.get(index)
    }

    pub(crate) fn get(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, Counter::get)
    }
}

/// What is counted of every route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) attempts: Counter,
    /// By reason, then by mode.
    rejected: Box<[PerValue]>,
    /// By origin, then by verdict, then by mode; made at the first refusal.
    refused: OnceLock<Box<[Box<[PerValue]>]>>,
    streams: OnceLock<Streams>,
    /// The operator told us of this route: its series stand at zero from the start.
    pub(crate) declared: bool,
}

/// What is counted only of routes that open streams.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) per_origin: Box<[PerOrigin]>,
    pub(crate) verdicts: PerValue,
    pub(crate) closed: PerValue,
    pub(crate) resumes: PerValue,
    pub(crate) duration: Histogram,
    pub(crate) threads: Arc<Threads>,
}

#[derive(Debug)]
pub(crate) struct PerOrigin {
    pub(crate) opened: PerValue,
    pub(crate) immediate: PerValue,
}

/// The results of a resume that are counted: a stream that began afresh resumed nothing.
pub(crate) const RESUMES: &[Resume] = &[Resume::Hit, Resume::Gap, Resume::Unknown];

impl Route {
    pub(crate) fn new(declared: bool, origins: usize) -> Self {
        let route = Self {
            attempts: Counter::default(),
            rejected: RefusalReason::ALL
                .iter()
                .map(|_| PerValue::new(RefusalMode::ALL.len()))
                .collect(),
            refused: OnceLock::new(),
            streams: OnceLock::new(),
            declared,
        };
        if declared {
            route.streams(origins);
        }
        route
    }

    /// The counts of this route's streams, made when the first one opens.
    pub(crate) fn streams(&self, origins: usize) -> &Streams {
        self.streams.get_or_init(|| Streams {
            per_origin: (0..origins)
                .map(|_| PerOrigin {
                    opened: PerValue::new(AuthMethod::ALL.len()),
                    immediate: PerValue::new(ImmediateClose::ALL.len()),
                })
                .collect(),
            verdicts: PerValue::new(CorsVerdict::ALL.len()),
            closed: PerValue::new(CloseReason::ALL.len()),
            resumes: PerValue::new(RESUMES.len()),
            duration: Histogram::new(bounds(&DURATION_SECONDS)),
            threads: Arc::default(),
        })
    }

    pub(crate) fn opened_streams(&self) -> Option<&Streams> {
        self.streams.get()
    }

    pub(crate) fn reject(&self, reason: RefusalReason, mode: RefusalMode) {
        let index = RefusalReason::ALL.iter().position(|known| *known == reason);
        let modes = index.and_then(|index| self.rejected.get(index));
        if let Some(count) = modes.and_then(|modes| modes.at(RefusalMode::ALL, &mode)) {
            count.inc();
        }
    }

    /// Counts a refusal by the number of the origin and by what a browser makes of the reply.
    pub(crate) fn refuse(
        &self,
        origin: usize,
        verdict: CorsVerdict,
        mode: RefusalMode,
        origins: usize,
    ) {
        let refused = self.refused.get_or_init(|| {
            let modes = |_: &CorsVerdict| PerValue::new(RefusalMode::ALL.len());
            let verdicts = || CorsVerdict::ALL.iter().map(modes).collect();
            (0..origins).map(|_| verdicts()).collect()
        });
        let index = CorsVerdict::ALL.iter().position(|known| *known == verdict);
        let verdicts = refused.get(origin).zip(index);
        let modes = verdicts.and_then(|(verdicts, index)| verdicts.get(index));
        if let Some(count) = modes.and_then(|modes| modes.at(RefusalMode::ALL, &mode)) {
            count.inc();
        }
    }

    /// The refusals that happened, by the number of the origin.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (usize, CorsVerdict, RefusalMode, u64)> {
        let refused = self.refused.get().into_iter().flatten().enumerate();
        refused
            .flat_map(|(origin, verdicts)| {
                let verdicts = CorsVerdict::ALL.iter().zip(verdicts);
                verdicts.flat_map(move |(verdict, modes)| {
                    let all = RefusalMode::ALL.iter().enumerate();
                    all.map(move |(index, mode)| (origin, *verdict, *mode, modes.get(index)))
                })
            })
            .filter(|(_, _, _, count)| *count > 0)
    }

    /// The refusals to show: those that happened, and of a declared route all that can.
    pub(crate) fn rejections(&self) -> impl Iterator<Item = (RefusalReason, RefusalMode, u64)> {
        RefusalReason::ALL
            .iter()
            .zip(&self.rejected)
            .flat_map(|(reason, modes)| {
                RefusalMode::ALL
                    .iter()
                    .enumerate()
                    .map(|(index, mode)| (*reason, *mode, modes.get(index)))
            })
            .filter(|(reason, mode, count)| *count > 0 || self.declared && usual(*reason, *mode))
    }
}

/// Whether a guard answers this refusal in this way: every refusal has its status, only those for
/// want of capacity have a soft answer, and only the rules about origin and host can be tried out.
const fn usual(reason: RefusalReason, mode: RefusalMode) -> bool {
    use RefusalReason as R;
    match mode {
        RefusalMode::Hard => true,
        RefusalMode::Soft => matches!(
            reason,
            R::IpLimit
                | R::UserLimit
                | R::RateLimit
                | R::Capacity
                | R::Draining
                | R::AuthUnavailable
        ),
        RefusalMode::ReportOnly => matches!(
            reason,
            R::HostDenied | R::OriginDenied | R::OriginMalformed | R::FetchMetadataDenied
        ),
        _ => false,
    }
}
