"""The only table from a failure to what the client sees: HTTP status, code, message.

A failure's own message tells which precondition was not met and what to do; it is sent as it is. An action's
`errors` come first, since the vendor's codes for one and the same thing differ between actions; then this
table; then the kind of failure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lamina.api.codes import (
    INTERNAL_ERROR,
    MISSING_PARAMETER,
    UNAVAILABLE,
    UNKNOWN_ACCESS_KEY,
    UNKNOWN_REGION,
    ApiError,
    Code,
)
from lamina.api.spec import Action
from lamina.control.accounts.errors import AccessKeyNotFoundError, AccountNotFoundError
from lamina.control.advice.errors import NoTimeError, RepositoryMissingError
from lamina.control.billing.errors import BillNotFoundError
from lamina.control.buckets.errors import (
    BucketForbiddenError,
    BucketFullError,
    BucketNameError,
    BucketNameTakenError,
    BucketNotEmptyError,
    BucketNotFoundError,
    BucketQuotaError,
    BucketsLocationError,
    LinkExpiredError,
    LinkLimitUnsupportedError,
    LinkSignatureError,
    ObjectKeyError,
    ObjectNotFoundError,
)
from lamina.control.bulk_exports.errors import (
    BulkConcurrencyError,
    BulkExportEndedError,
    BulkExportNotFoundError,
    BulkExportQuotaError,
    BulkItemQuotaError,
    BulkSourceMissingError,
)
from lamina.control.disks.errors import (
    AttachedElsewhereError,
    ConnectionNotFoundError,
    DeviceTakenError,
    DiskAttachedError,
    DiskCategoryError,
    DiskConnectedError,
    DiskLimitError,
    DiskNeverUsedError,
    DiskNotFoundError,
    DiskPortableError,
    DiskRangeError,
    DiskResetInProgressError,
    DiskShrinkError,
    DiskSizeError,
    DiskStateError,
    ForeignSystemDiskError,
    NeverAttachedError,
    NotAttachedError,
    NotBootableError,
    SameSpecError,
    SnapshotMismatchError,
    SourceSnapshotGoneError,
    SystemDiskKeptError,
    ZoneMismatchError,
)
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.images.copy_errors import (
    BuiltInCopyError,
    CommunityImageError,
    CopyEndedError,
    DestinationRegionError,
    NotCopiedError,
    SharedImageRegionError,
)
from lamina.control.images.encrypted import (
    EncryptedExportError,
    EncryptedImageCopyError,
    EncryptedImageError,
    EncryptedSystemSnapshotError,
)
from lamina.control.images.errors import (
    ArchivedSourceError,
    FamilyImagesQuotaError,
    ImageBusyError,
    ImageCopyingError,
    ImageCreatingError,
    ImageDeviceError,
    ImageDeviceTakenError,
    ImageDiskCountError,
    ImageDiskSizeError,
    ImageDiskTypeError,
    ImageExportingError,
    ImageFamilyQuotaError,
    ImageImportingError,
    ImageInUseError,
    ImageNameTakenError,
    ImageNotFoundError,
    ImagePublicError,
    ImageQuotaError,
    ImageSharedError,
    ImageSourceMissingError,
    ImageStateError,
    ImageWithoutSystemDiskError,
    NotSystemSnapshotError,
    OwnAccountError,
    ShareAccountError,
    ShareQuotaError,
    SystemSnapshotCountError,
    SystemSnapshotMissingError,
)
from lamina.control.images.file_errors import (
    ExportQuotaError,
    ExportSizeError,
    ForeignImageError,
    ImportDataDiskSizeError,
    ImportDataError,
    ImportSizeError,
    ScratchFullError,
)
from lamina.control.images.publish import BuiltInImageError
from lamina.control.installation import InstallationBusyError
from lamina.control.instances.errors import (
    DeletionProtectionError,
    InstanceArrearsError,
    InstanceExpiredError,
    InstanceNotFoundError,
    InstanceNotRunningError,
    InstancePendingError,
    InstancePrepaidError,
    InstanceSecurityLockError,
    InstanceStateError,
    InstanceTypeError,
    SystemDiskMissingError,
)
from lamina.control.keys.errors import (
    DecryptionError,
    InheritedKeyError,
    KeyDeletionDueError,
    KeyDestroyedError,
    KeyNotEnabledError,
    KeyNotFoundError,
    KeyQuotaError,
    KeyStateError,
    KeyWithoutEncryptionError,
    ServiceKeyError,
)
from lamina.control.movable_clock import ClockNotMovableError
from lamina.control.payments.errors import AmountError, CurrencyError, ReferenceUsedError
from lamina.control.policies.errors import (
    AutomaticQuotaError,
    CopyTargetMissingError,
    PartlyUnsupportedError,
    PolicyNotFoundError,
    PolicyQuotaError,
    TargetRegionError,
)
from lamina.control.provisioning.errors import (
    DiskBelowImageError,
    DiskSizeMissingError,
    ImageArchitectureError,
    ImageFamilyNotFoundError,
    NoSystemDiskError,
)
from lamina.control.regions.errors import RegionInUseError, RegionNotFoundError, ZoneNotFoundError
from lamina.control.resources.errors import ResourceNotFoundError
from lamina.control.root_key import RootKeyError
from lamina.control.shown_tasks.errors import TaskEndedError, TaskNotCancellableError, TaskNotFoundError
from lamina.control.snapshots.errors import (
    ArchivedCopyError,
    ArchivingQuotaError,
    CoolOffError,
    CoolOffOverError,
    CopyNotOfferedError,
    CopyRegionError,
    EncryptedArchiveError,
    EncryptedCopyError,
    GroupCapacityError,
    GroupNotFoundError,
    GroupSizeError,
    GroupWithoutDisksError,
    GroupZoneError,
    LockDurationError,
    LockNotFoundError,
    RetentionBelowLockError,
    RetentionDecreaseError,
    SameRegionError,
    SnapshotAgeError,
    SnapshotArchivedError,
    SnapshotArchivingError,
    SnapshotBeingCopiedError,
    SnapshotBusyError,
    SnapshotDataMissingError,
    SnapshotHeldByDiskError,
    SnapshotHeldByImageError,
    SnapshotInProgressError,
    SnapshotLockedError,
    SnapshotNotFoundError,
    SnapshotNotLockableError,
    SnapshotNotReadyError,
    SnapshotQuotaError,
    SnapshotUnfinishedError,
)
from lamina.control.snapshots.groups.together import GroupInterruptedError
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.control.tariff.dated_file import DatedFileError
from lamina.failures import Cancelled, Corruption, Fault, LaminaError, Refusal
from lamina.tasks.errors import TaskBusyError

TABLE: Final[Mapping[type[LaminaError], Code]] = {
    # control.regions
    RegionNotFoundError: UNKNOWN_REGION,
    ZoneNotFoundError: Code(404, "InvalidZoneId.NotFound"),
    # control.accounts
    AccountNotFoundError: UNKNOWN_ACCESS_KEY,
    AccessKeyNotFoundError: UNKNOWN_ACCESS_KEY,
    InstallationBusyError: INTERNAL_ERROR,  # as the next one
    DatedFileError: INTERNAL_ERROR,  # as the next one
    RegionInUseError: INTERNAL_ERROR,  # as the next one
    ClockNotMovableError: INTERNAL_ERROR,  # found by commands and when a service starts
    RootKeyError: INTERNAL_ERROR,  # found when a service starts, never by a call
    # control.tags
    TagKeyError: Code(400, "InvalidTagKey.Malformed"),
    TagValueError: Code(400, "InvalidTagValue.Malformed"),
    TagQuotaError: Code(403, "QuotaExceed.Tags"),
    # control.idempotency
    TokenReusedError: Code(400, "IdempotentParameterMismatch"),
    # control.instances
    InstanceNotFoundError: Code(404, "InvalidInstanceId.NotFound"),
    InstanceStateError: Code(403, "IncorrectInstanceStatus"),
    InstancePendingError: Code(403, "IncorrectInstanceStatus.Initializing"),
    InstanceTypeError: Code(400, "InvalidInstanceType.ValueNotSupported"),
    InstanceSecurityLockError: Code(403, "InstanceLockedForSecurity"),
    InstanceArrearsError: Code(403, "InstanceExpiredOrInArrears"),
    InstanceExpiredError: Code(403, "InstanceExpiredOrInArrears"),
    InstancePrepaidError: Code(403, "ChargeTypeViolation"),
    DeletionProtectionError: Code(403, "InvalidOperation.DeletionProtection"),
    InstanceNotRunningError: Code(403, "InvalidInstanceStatus.NotRunning"),
    SystemDiskMissingError: Code(403, "DiskError"),
    # control.billing
    BillNotFoundError: Code(404, "InvalidMonth.NotFound"),
    AmountError: INTERNAL_ERROR,  # met by the operator's commands, never by a call
    CurrencyError: INTERNAL_ERROR,  # as the one before
    ReferenceUsedError: INTERNAL_ERROR,  # as the one before
    RepositoryMissingError: INTERNAL_ERROR,  # counted by advice, never answered
    NoTimeError: INTERNAL_ERROR,  # as the one before
    # control.buckets
    BucketNameError: Code(400, "InvalidBucketName.Malformed"),
    BucketNameTakenError: Code(409, "BucketAlreadyExists"),
    BucketNotFoundError: Code(404, "InvalidBucketName.NotFound"),
    BucketNotEmptyError: Code(409, "BucketNotEmpty"),
    BucketQuotaError: Code(403, "QuotaExceed.Bucket"),
    BucketFullError: Code(403, "BucketFull"),
    BucketForbiddenError: Code(403, "BucketForbidden"),
    BucketsLocationError: INTERNAL_ERROR,
    ObjectKeyError: Code(400, "InvalidObjectKey.Malformed"),
    ObjectNotFoundError: Code(404, "InvalidObjectKey.NotFound"),
    LinkLimitUnsupportedError: Code(400, "InvalidMaxSize.NotSupported"),
    LinkSignatureError: Code(403, "SignatureDoesNotMatch"),  # as the next one
    LinkExpiredError: Code(403, "AccessDenied"),  # met where links are followed, and answered there
    # control.bulk_exports
    BulkExportNotFoundError: Code(404, "InvalidBulkExportId.NotFound"),
    BulkExportEndedError: Code(403, "InvalidBulkExportId.IncorrectStatus"),
    BulkSourceMissingError: MISSING_PARAMETER,
    BulkItemQuotaError: Code(400, "NumberExceed.BulkExportItems"),
    BulkConcurrencyError: Code(400, "InvalidConcurrency.ValueNotSupported"),
    BulkExportQuotaError: Code(403, "ConcurrentQuotaExceed.BulkExport"),
    # control.disks
    DiskNotFoundError: Code(404, "InvalidDiskId.NotFound"),
    DiskStateError: Code(403, "IncorrectDiskStatus"),
    DiskResetInProgressError: Code(403, "InvalidOperation.DiskResetInProgress"),
    DiskCategoryError: Code(400, "DiskCategory.OperationNotSupported"),
    DiskSizeError: Code(400, "InvalidDataDiskSize.ValueNotSupported"),
    NeverAttachedError: Code(403, "IncorrectDiskStatus.NeverAttached"),
    DiskConnectedError: Code(403, "IncorrectDiskStatus"),
    ConnectionNotFoundError: Code(404, "InvalidConnectionId.NotFound"),
    DiskRangeError: Code(400, "InvalidParameter.Range"),
    SnapshotMismatchError: Code(403, "InvalidParameter.Mismatch"),
    DiskNeverUsedError: Code(403, "IncorrectDiskStatus.NeverUsed"),
    DiskAttachedError: Code(403, "DiskStillAttached"),
    SystemDiskKeptError: Code(403, "InvalidDiskStatus.DeleteProtection"),
    ZoneMismatchError: Code(403, "ResourcesNotInSameZone"),
    DiskLimitError: Code(403, "InstanceDiskLimitExceeded"),
    DeviceTakenError: Code(403, "InvalidDevice.InUse"),
    NotBootableError: Code(400, "InvalidDisk.DiskNotBootable"),
    ForeignSystemDiskError: Code(400, "InvalidInstance.NotOriginInstance"),
    NotAttachedError: Code(404, "InvalidDisk.AlreadyDetached"),
    AttachedElsewhereError: Code(403, "DependencyViolation"),
    DiskPortableError: Code(403, "DiskNotPortable"),
    DiskShrinkError: Code(403, "InvalidDiskSize.TooSmall"),
    SourceSnapshotGoneError: Code(403, "InvalidSourceSnapshot"),
    SameSpecError: Code(403, "OperationDenied"),
    # control.snapshots
    SnapshotNotFoundError: Code(404, "InvalidSnapshotId.NotFound"),
    SnapshotNotReadyError: Code(403, "InvalidSnapshotId.NotReady"),
    SnapshotDataMissingError: Code(403, "InvalidSnapshotId.NotReady"),
    SnapshotInProgressError: Code(403, "IncorrectDiskStatus.CreatingSnapshot"),
    SnapshotQuotaError: Code(403, "QuotaExceed.Snapshot"),
    SnapshotHeldByImageError: Code(403, "SnapshotCreatedImage"),
    SnapshotHeldByDiskError: Code(403, "SnapshotCreatedDisk"),
    SnapshotBusyError: Code(403, "Operation.Conflict"),
    SnapshotArchivingError: Code(403, "Operation.Conflict"),
    SnapshotBeingCopiedError: Code(403, "InvalidOperation.RelatedSnapshotNotFinished"),
    SnapshotLockedError: Code(403, "InvalidOperation.SnapshotIsLocked"),
    SnapshotUnfinishedError: Code(400, "InvalidSnapshotId.NotReady"),
    RetentionDecreaseError: Code(400, "InvalidOperation.DecreaseRetentionDaysUnsupported"),
    RetentionBelowLockError: Code(400, "InvalidRetentionDays.LessThanLockExpiredTime"),
    SnapshotArchivedError: Code(400, "InvalidStatus.SnapshotInArchive"),
    SnapshotAgeError: Code(400, "InvalidStatus.SnapshotAgeLimit"),
    EncryptedArchiveError: Code(403, "InvalidOperation.EncryptedSnapshotUnsupport"),
    EncryptedCopyError: Code(403, "InvalidEncrypted.NotSupportDecrypt"),
    ArchivingQuotaError: Code(403, "QuotaExceed.ConcurrentArchiveSnapshotQuota"),
    CopyNotOfferedError: Code(403, "InvalidUser.NotInWhiteList"),
    SameRegionError: Code(403, "InvalidOperation.NotSupportCopyInSameRegion"),
    CopyRegionError: Code(403, "InvalidRegionId.NotExists"),
    ArchivedCopyError: Code(403, "InvalidSnapshotCategory.NotSupportCopy"),
    LockNotFoundError: Code(404, "InvalidSnapshotLock.NotFound"),
    CoolOffOverError: Code(403, "InvalidOperation.CoolOffPeriodExpired"),
    CoolOffError: Code(400, "InvalidCoolOffPeriod.ExceedLockDuration"),
    LockDurationError: Code(400, "InvalidLockDuration.ExceedRetentionDays"),
    SnapshotNotLockableError: Code(403, "InvalidOperation.SnapshotNotAvailable"),
    GroupNotFoundError: Code(404, "InvalidSnapshotGroupId.NotFound"),
    GroupWithoutDisksError: Code(403, "InvalidInstance.NoDisk"),
    GroupSizeError: Code(403, "NumberExceed.TooManyDisks"),
    GroupCapacityError: Code(403, "CapacityExceed.TooManyDisks"),
    GroupZoneError: Code(400, "InvalidDiskIds.NotInSameZone"),
    GroupInterruptedError: Code(
        403, "CreateSnapshot.Failed"
    ),  # recorded by a group's task, never met by a call
    # control.images
    ImageNotFoundError: Code(404, "InvalidImageId.NotFound"),
    ImageStateError: Code(400, "IncorrectImageStatus"),
    ImageNameTakenError: Code(400, "InvalidImageName.Duplicated"),
    ImageQuotaError: Code(403, "QuotaExceed.Image"),
    ImageFamilyQuotaError: Code(400, "ImageFamilyQuotaExceed"),
    FamilyImagesQuotaError: Code(400, "ImageQuotaExceed.ImageFamily"),
    ImageSourceMissingError: MISSING_PARAMETER,
    NotSystemSnapshotError: Code(403, "OperationDenied"),
    SystemSnapshotCountError: Code(400, "OperationDenied"),
    SystemSnapshotMissingError: Code(403, "InvalidSystemSnapshot.Missing"),
    ImageWithoutSystemDiskError: Code(400, "OperationDenied"),
    ArchivedSourceError: Code(403, "OperationDenied.InvalidSnapshotCategory"),
    ImageDiskTypeError: Code(400, "InvalidParameter.DiskType"),
    ImageDiskSizeError: Code(400, "InvalidSize.ValueNotSupported"),
    ImageDiskCountError: Code(400, "OperationDenied"),
    ImageDeviceError: Code(400, "InvalidDevice.Malformed"),
    ImageDeviceTakenError: Code(400, "InvalidDevice.InUse"),
    ImageInUseError: Code(403, "ImageUsingByInstance"),
    ImageBusyError: Code(403, "ImageUsingByInstance"),
    ImageSharedError: Code(403, "ImageUseShared"),
    ImagePublicError: Code(403, "ImageIsPublic"),
    ImageCreatingError: Code(403, "ImageIsCreating"),
    ImageCopyingError: Code(403, "OperationDenied.ImageCopying"),
    ImageImportingError: Code(403, "ImageIsImporting"),
    ImageExportingError: Code(403, "ImageIsExporting"),
    OwnAccountError: Code(404, "InvalidAccount.Forbbiden"),
    ShareAccountError: Code(404, "InvalidAccount.NotFound"),
    ShareQuotaError: Code(403, "QuotaExceed.ShareImageUser"),
    ForeignImageError: Code(403, "InvalidImageCategory.NotSupported"),
    ExportSizeError: Code(400, "InvalidImage.DiskAmountOrSize"),
    ExportQuotaError: Code(403, "ConcurrentQuotaExceed.ExportImage"),
    ImportSizeError: Code(400, "InvalidImageSize"),
    ImportDataDiskSizeError: Code(400, "InvalidDataDiskSize"),
    ImportDataError: Code(403, "ImportImageFailed"),  # as the next one
    ScratchFullError: Code(403, "ExportImageFailed"),  # recorded by tasks, never met by a call
    BuiltInImageError: INTERNAL_ERROR,  # met by the operator's command, never by a call
    DestinationRegionError: Code(400, "DestinationRegion.NotFound"),
    BuiltInCopyError: Code(403, "OperationDenied"),
    CommunityImageError: Code(400, "OperationDenied.CommunityImage"),
    SharedImageRegionError: Code(403, "OperationDenied.SameRegionOnly"),
    NotCopiedError: Code(400, "ImageCreatedNotFromCopy"),
    CopyEndedError: Code(400, "IncorrectImageStatus"),
    EncryptedImageError: Code(403, "OperationDeined.EncryptedSnapshot"),  # the vendor's spelling
    EncryptedImageCopyError: Code(403, "OperationDeined.EncryptedSnapshot"),
    EncryptedSystemSnapshotError: Code(400, "OperationDenied"),
    EncryptedExportError: Code(400, "ImageNotSupported"),
    # control.keys; the vendor's key service has codes of its own, which its extensions here do not need
    KeyNotFoundError: Code(404, "InvalidParameter.KMSKeyId.NotFound"),
    KeyNotEnabledError: Code(403, "InvalidParameter.KMSKeyId.CMKNotEnabled"),
    KeyDestroyedError: Code(403, "InvalidParameter.KMSKeyId.CMKNotEnabled"),
    KeyWithoutEncryptionError: Code(400, "InvalidParameter.EncryptedIllegal"),
    DecryptionError: Code(400, "InvalidParameter.Encrypted"),
    InheritedKeyError: Code(400, "InvalidKmsKeyId.NotMatchSnapshot"),
    KeyStateError: Code(409, "Rejected.KeyState"),
    KeyDeletionDueError: Code(409, "Rejected.PendingDeletion"),
    ServiceKeyError: Code(403, "Rejected.ServiceKey"),
    KeyQuotaError: Code(403, "QuotaExceed.Key"),
    # control.policies
    PolicyNotFoundError: Code(404, "ParameterInvalid"),
    PolicyQuotaError: Code(403, "AutoSnapshotPolicy.QuotaExceed"),
    PartlyUnsupportedError: Code(400, "PartofDiskCategory.OperationNotSupported"),
    TargetRegionError: Code(403, "InvalidParameter.TargetCopyRegions"),
    CopyTargetMissingError: Code(403, "InvalidParameter.TargetCopyRegions"),
    AutomaticQuotaError: Code(403, "QuotaExceed.Snapshot"),  # recorded by a policy's run, never met by a call
    # control.provisioning
    ImageFamilyNotFoundError: Code(404, "InvalidImageId.NotFound"),
    ImageArchitectureError: Code(403, "ImageNotSupportInstanceType"),
    DiskSizeMissingError: MISSING_PARAMETER,
    DiskBelowImageError: Code(403, "InvalidDiskSize.TooSmall"),
    NoSystemDiskError: Code(400, "InvalidInstance.NotFoundSystemDisk"),
    # control.resources
    ResourceNotFoundError: Code(404, "InvalidResourceId.NotFound"),
    # control.shown_tasks
    TaskNotFoundError: Code(400, "InvalidTaskId.NotFound"),
    TaskNotCancellableError: Code(403, "InvalidTaskId.TaskActionNotSupport"),
    TaskEndedError: Code(403, "InvalidTaskId.IncorrectTaskStatus"),
    # tasks
    TaskBusyError: Code(409, "OperationConflict"),
    # kinds of failures, for what has no line above
    Refusal: Code(403, "OperationDenied"),
    Corruption: Code(500, "InternalError.DamagedData"),  # ours: clients must not retry it as an InternalError
    Cancelled: INTERNAL_ERROR,
}


_TRY_AGAIN: Final = "The service cannot do this at the moment; try again later."
_REPORT: Final = "The request failed for an internal reason; report its RequestId to the operator."


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """What the client is told.

    Attributes:
        code: HTTP status and code.
        message: for people; tells what to do.
    """

    code: Code
    message: str


def describe(failure: Exception, action: Action | None) -> ErrorReply:
    """Turn a failure into the words of the API; `action` is the one that was running, if one was known.

    What a fault says is for the operator (paths, hosts, the database's own words): it goes to the log, and the
    client is told whether to try again.
    """
    if isinstance(failure, ApiError):
        return ErrorReply(failure.code, str(failure))
    if isinstance(failure, Fault) and failure.retryable:
        return ErrorReply(_find_code(failure, action) or UNAVAILABLE, _TRY_AGAIN)
    if isinstance(failure, LaminaError) and not isinstance(failure, Fault):
        return ErrorReply(_find_code(failure, action) or INTERNAL_ERROR, str(failure))
    return ErrorReply(INTERNAL_ERROR, _REPORT)


def list_codes(action: Action) -> frozenset[Code]:
    """Every code that an action answers, beyond those of authentication and of the service's own state."""
    return action.own_codes | {TABLE[failure] for failure in action.raises} | {INTERNAL_ERROR}


def _find_code(failure: LaminaError, action: Action | None) -> Code | None:
    for table in (action.errors if action else {}, TABLE):
        for cls in type(failure).__mro__:
            if cls in table:
                return table[cls]
    return None
