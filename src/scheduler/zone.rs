//! Notices when the time zone of the system is changed.

use std::future;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tracing::warn;

/// The file of the zone: replaced by `timedatectl` and `raspi-config`, or written by hand.
const FILE: &std::ffi::CStr = c"localtime";

/// Watches the folder of the time zone. The kernel reports what happens there, so nothing polls.
pub struct ZoneWatch(Option<AsyncFd<OwnedFd>>);

impl ZoneWatch {
    /// Watches this folder. If that is not possible, a change is not noticed, and the log says so.
    pub fn new(folder: &Path) -> ZoneWatch {
        let watch = watch(folder).inspect_err(|error| {
            let folder = folder.display();
            warn!("cannot watch {folder}: {error}; timers do not follow a change of the time zone");
        });
        ZoneWatch(watch.ok())
    }

    /// Waits until the zone may have been changed.
    pub async fn changed(&mut self) {
        let Some(watch) = &self.0 else {
            return future::pending().await;
        };
        loop {
            let Ok(mut ready) = watch.readable().await else {
                return future::pending().await;
            };
            let mut buffer = [MaybeUninit::uninit(); 1024];
            let mut events = Reader::new(watch.get_ref(), &mut buffer);
            let mut is_changed = false;
            loop {
                match events.next() {
                    Ok(event) => {
                        is_changed |= event.file_name() == Some(FILE)
                            || event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                    }
                    Err(Errno::INTR) => {}
                    // All were read.
                    Err(_) => break,
                }
            }
            ready.clear_ready();
            if is_changed {
                return;
            }
        }
    }
}

fn watch(folder: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let changes = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE;
    inotify::add_watch(&watch, folder, changes | WatchFlags::DELETE)?;
    #[expect(
        deprecated,
        reason = "it is unsound for types that change their descriptor; an OwnedFd never does"
    )]
    AsyncFd::new(watch)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_zone_that_is_replaced_is_noticed_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let (zone, new) = (folder.path().join("localtime"), folder.path().join("new"));
        let mut watch = ZoneWatch::new(folder.path());
        let replaced: [&dyn Fn(); 3] = [
            &|| symlink("/usr/share/zoneinfo/UTC", &zone).unwrap(),
            &|| {
                symlink("/usr/share/zoneinfo/Europe/Berlin", &new).unwrap();
                fs::rename(&new, &zone).unwrap();
            },
            &|| fs::remove_file(&zone).unwrap(),
        ];
        for replace in replaced {
            replace();
            watch.changed().await;
            fs::write(folder.path().join("hosts"), "").unwrap();
            assert_eq!(watch.changed().now_or_never(), None);
        }
    }
}
