"""The sample multi-tenant SaaS order platform."""
