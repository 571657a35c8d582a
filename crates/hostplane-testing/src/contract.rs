//! Contracts: one list of cases, carried out on a fake and on the real adapter.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

/// A case with its name. `S` is what it is carried out on.
pub type Case<S> = (&'static str, for<'a> fn(&'a S) -> LocalBoxFuture<'a, ()>);

/// Makes a list of cases out of async functions: `cases!(pub CASES: dyn Harness = [first, second]);`.
#[macro_export]
macro_rules! cases {
    ($visibility:vis $list:ident: $subject:ty = [$($case:ident),* $(,)?]) => {
        $visibility const $list: &[$crate::contract::Case<$subject>] =
            &[$((stringify!($case), |subject| Box::pin($case(subject)))),*];
    };
}

/// Makes a test of each case on each subject: `contract! { fake: on_fake; area: first, second; }`. A subject is the
/// path of a function that carries out one case; cases are functions of a module named as their area.
#[macro_export]
macro_rules! contract {
    (
        on { $($(#[$condition:meta])* $subject:ident: $run:path;)+ }
        $($cases:tt)+
    ) => {
        $crate::contract! { @each [$($(#[$condition])* $subject: $run;)+] { $($cases)+ } }
    };
    (@each [$($(#[$condition:meta])* $subject:ident: $run:path;)+] $cases:tt) => {
        $($(#[$condition])*
        mod $subject {
            $crate::contract! { @tests $run; $cases }
        })+
    };
    (@tests $run:path; { $($area:ident: $($case:ident),+ $(,)?;)+ }) => {
        $(mod $area {
            $(#[tokio::test]
            async fn $case() {
                $run(super::super::$area::$case).await;
            })+
        })+
    };
}

/// Carries out cases one after the other, and answers the names of those that failed.
pub async fn carry_out<'c, S: ?Sized + 'static>(
    subject: &S,
    cases: impl IntoIterator<Item = &'c Case<S>>,
) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (name, case) in cases {
        let passed = AssertUnwindSafe(case(subject)).catch_unwind().await.is_ok();
        println!("{} {name}", if passed { "ok    " } else { "FAILED" });
        if !passed {
            failed.push(*name);
        }
    }
    failed
}
