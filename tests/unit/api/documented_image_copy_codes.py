"""Error codes that the vendor's pages list for copying images."""

from typing import Final

DOCUMENTED: Final = {
    "CopyImage": {
        400: (
            "Account.Arrearage",
            "DestinationRegion.NotFound",
            "IncorrectImageStatus",
            "InvalidDescription.Malformed",
            "InvalidEncrypted.NotMatchKmsKeyId",
            "InvalidImageId.NotFound",
            "InvalidImageName.Duplicated",
            "InvalidImageName.Malformed",
            "InvalidParameter.EncryptedIllegal",
            "InvalidParameter.KmsNotEnabled",
            "InvalidSnapshotId.NotFound",
            "OperationDenied.CommunityImage",
            "OperationDenied.ImageCopyConflict",
            "SourceRegion.NotFound",
        ),
        401: ("InvalidAliUid.IsNull",),
        403: (
            "Forbbiden",
            "Forbidden",
            "IncorrectDestinationRegion",
            "InternalError",
            "InvalidOperation.VhdImageUnsupported",
            "InvalidParameter.KMSKeyId.CMKNotEnabled",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
            "InvalidRegion.NotSupport",
            "InvalidSnapshot.TooOld",
            "OperationDeined.EncryptedSnapshot",
            "OperationDenied",
            "OperationDenied.EncryptSnapshotAcrossRegion",
            "OperationDenied.ImageCopying",
            "OperationDenied.KmsServiceUnauthorized",
            "OperationDenied.NotAuthorized",
            "OperationDenied.NotPublished",
            "OperationDenied.SameRegionOnly",
            "QuotaExceed.Image",
            "QuotaExceed.Snapshot",
            "RegionNotSupportCopy",
            "SizeExceed.Image",
            "UserNotInTheWhiteList",
        ),
        404: (
            "InvalidImageId.NotFound",
            "InvalidParameter.KMSKeyId.NotFound",
            "InvalidResourceGroup.NotFound",
        ),
        409: ("InvalidOperation.Conflict",),
        500: ("InternalError",),
    },
    "CancelCopyImage": {
        400: (
            "CancelNotSupported",
            "ImageCreatedNotFromCopy",
            "IncorrectImageStatus",
            "InvalidDescription.Malformed",
        ),
        404: (
            "InvalidImageId.NotFound",
            "InvalidRegionId.NotFound",
        ),
        500: ("InternalError",),
    },
}
