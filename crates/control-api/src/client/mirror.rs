use base::AppName;

use super::{Client, Payload};
use crate::api::MirrorApi;
use crate::model::{Items, MirrorEntry};
use crate::query::QueryText;
use crate::{Answer, Operation};

impl MirrorApi for Client {
    fn mirrors(&self, app: AppName) -> Answer<'_, Vec<MirrorEntry>> {
        Box::pin(async move {
            let parameters = [app.as_str()];
            let items: Items<MirrorEntry> =
                self.read(Operation::Mirrors, &parameters, QueryText::default(), Payload::Nothing).await?;
            Ok(items.items)
        })
    }
}
