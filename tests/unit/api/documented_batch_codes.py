"""Error codes that the vendor's pages list for RunInstances, the batches of instances, and ReplaceSystemDisk."""

from typing import Final

from tests.unit.api.documented_instance_codes import DOCUMENTED as ONE

DOCUMENTED: Final = {
    "RunInstances": ONE["CreateInstance"],  # the two pages have one table
    "StartInstances": {
        403: (
            "IncorrectInstanceStatus",
            "InstanceNotReady",
            "InsufficientBalance",
            "OperationDenied.NoStock",
            "OperationDenied.SpotPriceLowerThanPublicPrice",
        ),
        404: ("InvalidInstanceId.NotFound",),
        500: ("InternalError",),
    },
    "StopInstances": {},
    "RebootInstance": {
        403: (
            "DiskError",
            "IncorrectInstanceStatus",
            "InstanceExpiredOrInArrears",
            "InstanceLockedForSecurity",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
        ),
        404: ("InvalidInstanceId.NotFound",),
        500: ("InternalError",),
    },
    "DeleteInstances": {
        400: (
            "DependencyViolation.RouteEntry",
            "DependencyViolation.SLBConfiguring",
        ),
        403: (
            "IncorrectInstanceStatus",
            "InstanceLockedForSecurity",
            "InvalidOperation.DeletionProtection",
            "InvalidOperation.NotInWhiteList",
        ),
        500: ("InternalError",),
    },
    "DescribeInstanceStatus": {
        404: (
            "InvalidRegionId.NotFound",
            "InvalidZoneId.NotFound",
        ),
    },
    "ReplaceSystemDisk": {
        400: (
            "DependencyViolation.IoOptimize",
            "InvalidArchitecture.Malformed",
            "InvalidDatadisk.DiskCategoryViolation",
            "InvalidDatadisk.DiskStatusViolation",
            "InvalidDiskCategory.ValueNotSupported",
            "InvalidDiskId.NotFound",
            "InvalidInstance.NotFoundSystemDisk",
            "InvalidKeyPairName.NotFound",
            "InvalidParameter.AllEmpty",
            "InvalidParameter.Conflict",
            "InvalidPassword.Malformed",
            "InvalidPasswordParam.Mismatch",
            "InvalidPlatform.Malformed",
            "InvalidSystemDiskSize",
            "InvalidSystemDiskSize.ImageNotSupportResize",
            "InvalidSystemDiskSize.ValueNotSupported",
            "MissingParameter",
            "MissingParameter.Architecture",
            "MissingParameter.Platform",
            "OperationDenied",
        ),
        403: (
            "ChargeTypeViolation",
            "DiskCreatingSnapshot",
            "INST_HAS_UNPAID_ORDER",
            "ImageNotSubscribed",
            "ImageNotSupportInstanceType",
            "ImageRemovedInMarket",
            "IncorrectDiskStatus",
            "IncorrectInstanceStatus",
            "InstanceExpiredOrInArrears",
            "InstanceLockedForSecurity",
            "InvalidOperation.MultiAttachDisk",
            "InvalidParameter.NotMatch",
            "InvalidSystemDiskStatus.IsTransfering",
            "IoOptimized.NotSupported",
            "OperationDenied.ImageNotValid",
            "OperationDenied.InstanceCreating",
            "OperationDenied.UnpaidOrder",
            "QuotaExceed.BuyImage",
            "ResourcesNotInSameZone",
        ),
        404: (
            "InvalidImageId.NotFound",
            "InvalidInstanceId.NotFound",
            "InvalidSystemDiskSize.LessThanImageSize",
            "InvalidSystemDiskSize.LessThanMinSize",
            "InvalidSystemDiskSize.MoreThanMaxSize",
            "NoSuchResource",
        ),
        500: ("InternalError",),
    },
}
