"""The whole story on one machine: three hospitals, a patient, a doctor, an auditor."""
