//! Virtual time can't run out on a run that waits for something real which never comes: the clock stands
//! still. So real time is watched too.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Longest time of one run; most take less than a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(40);

/// Does the work. If it hangs, says which it is and ends the process: no other way leads out.
pub fn watched<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let (done, wait) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                println!("{name}\nhangs");
                std::process::abort();
            }
        });
        let result = work();
        drop(done);
        result
    })
}
