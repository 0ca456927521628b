//! The log of refused clients: each distinct refusal is one line an hour, however often it comes.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::response::Refused;

/// Time after which a refusal is logged again.
const PERIOD: Duration = Duration::from_secs(3600);
/// Lines in this time: the values in them may be anybody's.
const MAX_LINES: usize = 32;

/// The refusals that were logged in this period.
#[derive(Default)]
pub struct RefusalLog(Mutex<(Option<Instant>, HashSet<String>)>);

impl RefusalLog {
    /// Whether this line is new, and one of few in its period.
    fn is_news(&self, line: &str, now: Instant) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, lines) = &mut *logged;
        if start.is_none_or(|start| now - start >= PERIOD) {
            *start = Some(now);
            lines.clear();
        }
        lines.len() < MAX_LINES && lines.insert(line.into())
    }
}

/// Logs the response if it is a refusal.
pub async fn log(State(log): State<Arc<RefusalLog>>, response: Response) -> Response {
    if let Some(Refused(why)) = response.extensions().get() {
        match log.is_news(why, Instant::now()) {
            true => warn!("refused: {why}"),
            false => debug!("refused: {why}"),
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_news_once_an_hour_and_few_are() {
        let log = RefusalLog::default();
        let start = Instant::now();
        assert!(log.is_news("a", start));
        assert!(!log.is_news("a", start));
        for number in 0..1000 {
            let is_news = log.is_news(&number.to_string(), start);
            assert_eq!(is_news, number < MAX_LINES - 1);
        }
        assert!(!log.is_news("a", start + PERIOD - Duration::from_millis(1)));
        assert!(log.is_news("a", start + PERIOD));
    }
}
