//! What the checker finds wrong, each kind by its name.

/// One thing that can't be.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub(crate) enum Objection {
    #[error("lost: {0} was acknowledged and is not in the log")]
    Lost(String),
    #[error("doubled: {0} is in the log more than once")]
    Doubled(String),
    #[error("halved: {0} is in the log in part")]
    Halved(String),
    #[error("refused and written: {0} was told that it was not written, and is in the log")]
    RefusedAndWritten(String),
    #[error("unasked: nobody asked for the event at position {0}")]
    Unasked(u64),
    #[error("gap: where position {0} should be, the log has {1}")]
    Gap(u64, u64),
    #[error("misfit: the event at position {0} does not fit its task: {1}")]
    Misfit(u64, String),
    #[error("number: where {0} should have been given out, it was {1}")]
    Number(String, String),
    #[error("time: it ran backwards at position {0}")]
    Time(u64),
    #[error("wrong answer: what {0} was told is not what the log has")]
    WrongAnswer(String),
    #[error("reordered: {0} was answered before {1} was sent, and stands behind it")]
    Reordered(String, String),
    #[error("stale read: {0} does not show what was acknowledged before it was sent")]
    StaleRead(String),
    #[error("early read: {0} shows what nobody had sent yet")]
    EarlyRead(String),
    #[error("wrong read: {0} shows no state that the task had at its position")]
    WrongRead(String),
    #[error("reads went back: {1} was sent after {0} was answered, and shows an older version")]
    ReadsWentBack(String, String),
    #[error("wrong refusal: {0} was refused for a status that the task did not have")]
    WrongRefusal(String),
    #[error("failed: {0} was told what no caller is to see: {1}")]
    Failed(String, String),
    #[error("the stream lacks position {0}")]
    StreamLacks(u64),
    #[error("the stream has position {0} more than once")]
    StreamDoubles(u64),
    #[error("the stream is out of order: at sequence {0} stands position {1}")]
    StreamReordered(u64, u64),
    #[error("the stream differs from the log at position {0}")]
    StreamDiffers(u64),
    #[error("the read table lacks {0}")]
    RowMissing(String),
    #[error("the read table has {0}, which the log has not")]
    RowUnknown(String),
    #[error("the read table differs from the log in {0}")]
    RowDiffers(String),
}
