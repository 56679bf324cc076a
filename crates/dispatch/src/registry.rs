//! Which core a thread is.
//!
//! An `Invoker` is shared by all cores, while instances belong to one. The house forbids ambient
//! context, and this is its one exception: a core *is* its thread, so the pools of a core are a
//! property of the thread and not of a call. Nothing else is kept here.

use std::cell::RefCell;
use std::rc::Rc;

use crate::cores::CorePools;

thread_local! {
    static INSTALLED: RefCell<Option<Rc<CorePools>>> = const { RefCell::new(None) };
}

/// The pools of the core that this thread is.
pub(crate) fn current() -> Option<Rc<CorePools>> {
    INSTALLED.with_borrow(Clone::clone)
}

/// Makes this thread a core; false if it is one already.
pub(crate) fn install(pools: Rc<CorePools>) -> bool {
    INSTALLED.with_borrow_mut(|installed| {
        let vacant = installed.is_none();
        if vacant {
            *installed = Some(pools);
        }
        vacant
    })
}

/// The thread stops being a core.
pub(crate) fn uninstall() -> Option<Rc<CorePools>> {
    INSTALLED.with_borrow_mut(Option::take)
}
