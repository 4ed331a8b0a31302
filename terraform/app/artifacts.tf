locals {
  # Artifacts stay. Pipeline and plans are CodePipeline's own files; a plan holds a state, and so has a bucket that no build of the app can read.
  buckets = toset(["artifacts", "pipeline", "plans"])

  artifact_objects = "${aws_s3_bucket.this["artifacts"].arn}/${var.app}/*"

  # What the rollback projects work with, whether the repository answers or not.
  source_objects = { for name in local.order : name => "source/${name}.zip" }

  # CodePipeline's folder for a pipeline is named by the first twenty characters of its name.
  expiring = { pipeline = substr("${local.name}-app", 0, 20), plans = "" }

  plan_readers = concat(
    [for role in ["plan", "apply"] : "${local.account}:role/${local.name}-${role}"],
    ["${local.account}:role/${local.name}-pipeline-infrastructure"],
  )
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:CloudTrail's data events tell who read an object, and whether to pay for them is the account's choice
  #checkov:skip=CKV_AWS_144:a release and the fleet that boots it are in one Region
  #checkov:skip=CKV2_AWS_62:nothing waits for an object
  #checkov:skip=CKV2_AWS_61:artifacts do not expire: a release may be gone back to at any time
  for_each = local.buckets

  bucket = "${local.name}-${each.key}-${var.account_id}"
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.bucket[each.key].arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    id     = "uploads-that-broke-off"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  dynamic "rule" {
    for_each = contains(keys(local.expiring), each.key) ? [local.expiring[each.key]] : []

    content {
      id     = "expire"
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      expiration {
        days = var.log_days
      }

      noncurrent_version_expiration {
        noncurrent_days = 1
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id
  policy = data.aws_iam_policy_document.bucket[each.key].json

  depends_on = [aws_s3_bucket_public_access_block.this]
}

data "aws_iam_policy_document" "bucket" {
  for_each = local.buckets

  # In a Deny the * of an action only takes more away.
  statement {
    sid       = "TlsAlone"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.this[each.key].arn, "${aws_s3_bucket.this[each.key].arn}/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "artifacts" ? { WrittenOnce = "s3:if-none-match" } : {}

    content {
      sid       = statement.key
      effect    = "Deny"
      actions   = ["s3:PutObject"]
      resources = ["${aws_s3_bucket.this[each.key].arn}/*"]

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }

      condition {
        test     = "Null"
        variable = statement.value
        values   = ["true"]
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "plans" ? { TerraformAlone = local.plan_readers } : {}

    content {
      sid       = statement.key
      effect    = "Deny"
      actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
      resources = ["${aws_s3_bucket.this[each.key].arn}/*"]

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }

      condition {
        test     = "ArnNotEquals"
        variable = "aws:PrincipalArn"
        values   = statement.value
      }
    }
  }
}

resource "aws_kms_key" "bucket" {
  for_each = local.buckets

  description             = "The bucket ${local.name}-${each.key}-${var.account_id}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.bucket_key.json
}

resource "aws_kms_alias" "bucket" {
  for_each = local.buckets

  name          = "alias/pinion/${var.app}/${each.key}"
  target_key_id = aws_kms_key.bucket[each.key].key_id
}

data "aws_iam_policy_document" "bucket_key" {
  #checkov:skip=CKV_AWS_111:in a key's own policy the resource * is that key
  #checkov:skip=CKV_AWS_356:in a key's own policy the resource * is that key
  statement {
    sid       = "Administration"
    actions   = local.key_administration
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["${local.account}:root"]
    }
  }

  statement {
    sid       = "S3ForWhomIamLets"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["${local.account}:root"]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.${local.dns_suffix}"]
    }
  }
}
