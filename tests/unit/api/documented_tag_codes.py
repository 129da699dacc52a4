"""Error codes that the vendor's pages list for the actions of tags, tasks and resource groups."""

from typing import Final

DOCUMENTED: Final = {
    "TagResources": {
        400: (
            "Duplicate.TagKey",
            "Invalid.Scope",
            "InvalidTag.Mismatch",
            "InvalidTagCount",
            "InvalidTagKey.Malformed",
            "InvalidTagValue.Malformed",
            "NumberExceed.ResourceIds",
            "NumberExceed.Tags",
            "OperationDenied.QuotaExceed",
        ),
        403: (
            "InvalidResourceId.NotSupported",
            "NoPermission.Tag",
            "PermissionDenied.Scope",
            "PermissionDenied.TagOwnerUid",
            "QuotaExceed.Tags",
        ),
        404: (
            "InvalidRegionId.NotFound",
            "InvalidResourceId.NotFound",
            "InvalidResourceType.NotFound",
            "MissingParameter.RegionId",
            "MissingParameter.ResourceType",
            "MissingParameter.TagOwnerBid",
            "MissingParameter.TagOwnerUid",
            "MissingParameter.Tags",
        ),
    },
    "UntagResources": {
        400: (
            "Duplicate.TagKey",
            "Invalid.Scope",
            "InvalidTag.Mismatch",
            "InvalidTagCount",
            "InvalidTagKey.Malformed",
            "InvalidTagValue.Malformed",
            "NumberExceed.ResourceIds",
            "NumberExceed.Tags",
            "OperationDenied.QuotaExceed",
        ),
        403: (
            "InvalidResourceId.NotSupported",
            "NoPermission.Tag",
            "PermissionDenied.Scope",
            "PermissionDenied.TagOwnerUid",
        ),
        404: (
            "InvalidRegionId.NotFound",
            "InvalidResourceId.NotFound",
            "InvalidResourceType.NotFound",
            "MissingParameter.RegionId",
            "MissingParameter.ResourceType",
            "MissingParameter.TagOwnerBid",
            "MissingParameter.TagOwnerUid",
            "MissingParameter.Tags",
        ),
    },
    "ListTagResources": {
        400: (
            "Duplicate.TagKey",
            "Invalid.Scope",
            "InvalidTag.Mismatch",
            "InvalidTagCount",
            "InvalidTagKey.Malformed",
            "InvalidTagValue.Malformed",
            "NumberExceed.ResourceIds",
            "NumberExceed.Tags",
            "OperationDenied.QuotaExceed",
        ),
        403: (
            "InvalidResourceId.NotSupported",
            "NoPermission.Tag",
            "PermissionDenied.Scope",
            "PermissionDenied.TagOwnerUid",
        ),
        404: (
            "InvalidRegionId.NotFound",
            "InvalidResourceId.NotFound",
            "InvalidResourceType.NotFound",
            "MissingParameter.RegionId",
            "MissingParameter.ResourceType",
            "MissingParameter.TagOwnerBid",
            "MissingParameter.TagOwnerUid",
            "MissingParameter.Tags",
        ),
    },
    "AddTags": {
        400: (
            "Duplicate.TagKey",
            "InvalidTag.Mismatch",
            "InvalidTagCount",
            "InvalidTagKey.Malformed",
            "InvalidTagValue.Malformed",
            "OperationDenied.QuotaExceed",
        ),
        403: ("InvalidResourceId.NotSupported",),
        404: (
            "InvalidRegionId.NotFound",
            "InvalidResourceId.NotFound",
            "InvalidResourceType.NotFound",
        ),
    },
    "RemoveTags": {
        400: (
            "InvalidResourceType.NotFound",
            "InvalidTagCount",
            "InvalidTagKey.Malformed",
        ),
        403: ("InvalidResourceId.NotSupported",),
        404: (
            "InvalidRegionId.NotFound",
            "InvalidResourceId.NotFound",
            "InvalidResourceType.NotFound",
        ),
    },
    "DescribeTags": {
        400: (
            "InvalidTagCount",
            "InvalidTagKey.Malformed",
            "InvalidTagValue.Malformed",
        ),
        404: (
            "InvalidRegionId.NotFound",
            "InvalidResourceType.NotFound",
        ),
    },
    "DescribeTasks": {
        400: (
            "InvalidRegionId.NotFound",
            "MissingParameter",
        ),
    },
    "DescribeTaskAttribute": {
        400: (
            "InvalidRegionId.NotFound",
            "InvalidTaskId.NotFound",
            "MissingParameter",
        ),
    },
    "CancelTask": {
        400: (
            "InvalidRegionId.NotFound",
            "InvalidTaskId.NotFound",
            "MissingParameter",
        ),
        403: (
            "CancelTaskFailed",
            "InvalidTaskId.IncorrectTaskStatus",
            "InvalidTaskId.TaskActionNotSupport",
        ),
    },
    "JoinResourceGroup": {
        403: (
            "InvalidResourceGroup.Duplicate",
            "MissingParameter",
        ),
        404: (
            "InvalidResourceGroup.NotFound",
            "InvalidResourceId.NotFound",
            "InvalidResourceType.NotFound",
        ),
    },
}
