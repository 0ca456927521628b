//! What a page shows of other dimmers' lights, and what it asks of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::activity::{Action, Participant};
use crate::model::fleet::{ByName, Fleet, Look};
use crate::protocol::{BadInput, RemoteNews, Request, ServerMessage};

/// What a page shows of them: what it last asked for, or was last told.
#[derive(Default)]
pub struct FleetView {
    /// All that there were when it was told last.
    all: Arc<ByName>,
    /// `None`: it is not known what it shows, so it is to be told.
    looks: BTreeMap<Arc<str>, Option<Look>>,
}

impl FleetView {
    /// The page shows a light so; or as it is not known.
    pub fn set(&mut self, name: &str, look: Option<Look>) {
        if let Some(shown) = self.looks.get_mut(name) {
            *shown = look;
            self.all = Arc::default();
        }
    }

    /// What the page does not show yet, which counts as shown from now on.
    pub fn news(&mut self, fleet: &Fleet, seen: Option<u64>) -> Option<String> {
        let all = fleet.all();
        if Arc::ptr_eq(&self.all, &all) {
            return None;
        }
        let there = |name: &str| all.get(name).and_then(|light| light.look());
        let gone = self.looks.extract_if(.., |name, _| there(name).is_none());
        let gone: Vec<_> = gone.map(|(name, _)| name).collect();
        let mut news = Vec::new();
        news.extend(
            gone.iter()
                .map(|light| RemoteNews::Gone { light, gone: true }),
        );
        for (light, remote) in all.iter() {
            let Some(look) = remote.look() else { continue };
            if self.looks.get(light).and_then(Option::as_ref) != Some(look) {
                self.looks.insert(light.clone(), Some(look.clone()));
                news.push(RemoteNews::Light { light, look });
            }
        }
        let news = (!news.is_empty()).then(|| ServerMessage::Fleet { fleet: news, seen }.to_json());
        self.all = all;
        news
    }
}

/// Does what a page wishes of another dimmer's light.
pub fn fulfil(
    wish: Request,
    name: &str,
    fleet: &Fleet,
    guest: &Participant,
    shown: &mut FleetView,
) -> Result<(), BadInput> {
    // Only a change names a light.
    let Request::Change(wanted) = wish else {
        return Ok(());
    };
    let look = fleet.change(name, wanted.change, wanted.transition)?;
    let (light, level) = (name.into(), look.level);
    guest.did(Action::Set { light, level });
    if wanted.exact {
        shown.set(name, Some(look));
    }
    Ok(())
}
