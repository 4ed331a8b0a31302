region         = "eu-west-1"
account_id     = "123456789012"
app            = "shop"
administrators = ["arn:aws:iam::123456789012:role/administrator"]
