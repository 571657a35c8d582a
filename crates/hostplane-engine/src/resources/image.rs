//! Images that containers of a site are made from. Sites share them, and no verb makes or removes one.

use hostplane_infra::error::{Effect, Rejection};

use crate::context::SiteCx;

/// Requires the image, without which a serving container must not be removed.
pub(super) async fn require_image(cx: &SiteCx<'_>, image: &str) -> Effect<()> {
    match cx.host.containers.image(image).await? {
        Some(_) => Ok(()),
        None => Err(Rejection::ImageMissing(image.to_owned()).into()),
    }
}
