locals {
  load_balancer_url = var.balancer.http_only ? "http://${aws_lb.app.dns_name}" : "https://${var.balancer.domain_name}"
  log_bucket        = "${local.name}-requests-${var.account_id}"
}

resource "aws_lb" "app" {
  #checkov:skip=CKV2_AWS_28:a web firewall is the account's choice, and may be associated with the load balancer from outside
  #checkov:skip=CKV2_AWS_20:port 80 answers 301 unless balancer.http_only says otherwise; the scanner does not follow the listener's condition
  name                       = local.name
  load_balancer_type         = "application"
  internal                   = var.balancer.internal
  subnets                    = local.balancer_subnet_ids
  security_groups            = [aws_security_group.balancer.id]
  idle_timeout               = var.times.idle_timeout_seconds
  drop_invalid_header_fields = true
  enable_deletion_protection = var.balancer.deletion_protection

  access_logs {
    bucket  = aws_s3_bucket.requests.id
    enabled = true
  }

  # ELB tries to write before it agrees to log.
  depends_on = [aws_s3_bucket_policy.requests]
}

resource "aws_lb_target_group" "app" {
  #checkov:skip=CKV_AWS_378:TLS ends at the load balancer, which alone reaches this port, inside the VPC
  name                 = local.name
  vpc_id               = local.vpc_id
  target_type          = "instance"
  protocol             = "HTTP"
  port                 = local.traffic_port
  deregistration_delay = var.times.deregistration_seconds

  health_check {
    protocol            = "HTTP"
    port                = local.health_port
    path                = local.health_path
    matcher             = "200"
    interval            = var.times.health_interval_seconds
    timeout             = min(5, var.times.health_interval_seconds - 1)
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "https" {
  count = var.balancer.http_only ? 0 : 1

  load_balancer_arn = aws_lb.app.arn
  protocol          = "HTTPS"
  port              = 443
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
  certificate_arn   = var.balancer.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}

resource "aws_lb_listener" "redirect" {
  count = var.balancer.http_only ? 0 : 1

  load_balancer_arn = aws_lb.app.arn
  protocol          = "HTTP"
  port              = 80

  default_action {
    type = "redirect"

    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener" "http_only" {
  #checkov:skip=CKV_AWS_2:development alone, by balancer.http_only
  #checkov:skip=CKV_AWS_103:development alone, by balancer.http_only
  count = var.balancer.http_only ? 1 : 0

  load_balancer_arn = aws_lb.app.arn
  protocol          = "HTTP"
  port              = 80

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}

resource "aws_route53_record" "app" {
  count = var.balancer.zone_id == null ? 0 : 1

  zone_id = var.balancer.zone_id
  name    = var.balancer.domain_name
  type    = "A"

  alias {
    name                   = aws_lb.app.dns_name
    zone_id                = aws_lb.app.zone_id
    evaluate_target_health = false
  }
}

# Request logs

resource "aws_s3_bucket" "requests" {
  #checkov:skip=CKV_AWS_145:ELB writes its logs to buckets with SSE-S3 alone
  #checkov:skip=CKV_AWS_18:it is itself a log
  #checkov:skip=CKV_AWS_144:logs of one Region stay in it
  #checkov:skip=CKV2_AWS_62:nothing waits for a log file
  bucket = local.log_bucket
}

resource "aws_s3_bucket_versioning" "requests" {
  bucket = aws_s3_bucket.requests.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "requests" {
  bucket = aws_s3_bucket.requests.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "requests" {
  bucket = aws_s3_bucket.requests.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "requests" {
  bucket = aws_s3_bucket.requests.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "requests" {
  bucket = aws_s3_bucket.requests.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.balancer.log_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.requests]
}

resource "aws_s3_bucket_policy" "requests" {
  bucket = aws_s3_bucket.requests.id
  policy = data.aws_iam_policy_document.requests.json

  depends_on = [aws_s3_bucket_public_access_block.requests]
}

data "aws_iam_policy_document" "requests" {
  # The path has the account of the load balancer, and ELB writes each account's logs to its own path alone.
  statement {
    sid       = "LoadBalancer"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.requests.arn}/AWSLogs/${var.account_id}/*"]

    principals {
      type        = "Service"
      identifiers = ["logdelivery.elasticloadbalancing.amazonaws.com"]
    }
  }

  statement {
    sid       = "TlsAlone"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.requests.arn, "${aws_s3_bucket.requests.arn}/*"]

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
}
